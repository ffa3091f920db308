"""From a scene, tracks and transmitters to path loss: placement, the Solver protocol, solvers."""
