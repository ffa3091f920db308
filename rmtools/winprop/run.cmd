@echo off
rem Solves the jobs of this folder with WinPropCLI, one process for each. Start it again after it
rem was stopped: jobs that are done are skipped, a half-finished one is solved anew.
rem
rem   run.cmd         all jobs, one after the other
rem   run.cmd K N     the K-th of N shares: start N of them to use N processes (and licences)
rem
rem   WINPROPCLI   the program; WinPropCLI.exe on the PATH when not set
rem   THREADS      threads of each process, -1 for all cores; 1 when not set
rem   CONVERT      a program that makes a job's building database, called as
rem                CONVERT ...\buildings.shp ...\buildings; not needed where @DATABASE@ is there
rem
rem A job is done when WinPropCLI ended with 0 and every result it was asked for is there. What it
rem printed is in the job's log.txt.
setlocal DisableDelayedExpansion
set "root=%~dp0"
if not defined WINPROPCLI set "WINPROPCLI=WinPropCLI.exe"
if not defined THREADS set "THREADS=1"
set /a share=1, shares=1
if not "%~2"=="" set /a share=%~1, shares=%~2
if %share% lss 1 goto usage
if %share% gtr %shares% goto usage
set /a number=0, skipped=0, solved=0, failed=0
for /f "usebackq delims=" %%J in ("%root%jobs.txt") do call :next "%%~J"
echo %solved% solved, %skipped% were done before, %failed% failed
if %failed% gtr 0 exit /b 1
exit /b 0

:usage
echo usage: %~nx0 [K N], 1 ^<= K ^<= N 1>&2
exit /b 2

:next
set /a number+=1
set /a rest=(number - share) %% shares
if not %rest%==0 exit /b 0
set "name=%~1"
set "name=%name:/=\%"
set "job=%root%%name%"
if exist "%job%\done" (
    set /a skipped+=1
    exit /b 0
)
call :solve
if errorlevel 1 (
    set /a failed+=1
    echo FAILED  %name%: see its log.txt 1>&2
) else (
    set /a solved+=1
    echo done    %name%
)
exit /b 0

:solve
set "log=%job%\log.txt"
if exist "%job%\results" rmdir /s /q "%job%\results"
if exist "%job%\results.partial" rmdir /s /q "%job%\results.partial"
type nul >"%log%"
if exist "%job%\@DATABASE@" goto predict
if defined CONVERT call "%CONVERT%" "%job%\buildings.shp" "%job%\buildings" >>"%log%" 2>&1
if exist "%job%\@DATABASE@" goto predict
echo @DATABASE@ is missing: convert buildings.shp, or set CONVERT>>"%log%"
exit /b 1

:predict
mkdir "%job%\results.partial" || exit /b 1
"%WINPROPCLI%" -F "%job%\project.net" -P --results-pro "%job%\results.partial" --multi-threading %THREADS% --disable-project-update >>"%log%" 2>&1
if not "%errorlevel%"=="0" (
    echo WinPropCLI failed>>"%log%"
    exit /b 1
)
set "missing="
for /f "usebackq delims=" %%F in ("%job%\expected.txt") do if not exist "%job%\results.partial\%%F" set "missing=%%F"
if defined missing (
    echo WinPropCLI wrote no %missing%>>"%log%"
    exit /b 1
)
move "%job%\results.partial" "%job%\results" >nul || exit /b 1
type nul >"%job%\done"
exit /b 0
