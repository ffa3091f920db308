"use strict";

/** Get something from the server, or throw. */
async function fetched(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

const octets = async (path) => new Uint8Array(await (await fetched(path)).arrayBuffer());

/** A few answers, the latest ones, so that a slider can go back and forth. */
function remembering(get, most) {
  const known = new Map();
  return (path) => {
    const answer = known.get(path) || get(path);
    known.delete(path);
    known.set(path, answer);
    if (known.size > most) known.delete(known.keys().next().value);
    answer.catch(() => known.delete(path));
    return answer;
  };
}

function startViewer() {
  const packed = remembering(async (path) => unpack(await octets(path)), 8);
  const facts = remembering(async (path) => (await fetched(path)).json(), 8);
  const server = {
    async scene(scene, traj) {
      const [found, layers] = await Promise.all([
        facts(`/facts/${scene}/${traj}`),
        packed(`/layers/${scene}`),
      ]);
      return { ...found, layers };
    },
    stack: (scene, traj, place) => packed(`/stack/${scene}/${traj}/${place}`),
  };
  new Viewer(server).show(data.scene);
}

document.querySelectorAll(".ground").forEach((ground) => {
  startGround(ground, (scene) => {
    window.location.href = `/scene/${scene}`;
  });
});
if (document.getElementById("viewer")) startViewer();
