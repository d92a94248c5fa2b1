/**
 * Returns the variables of a program that a test starts, without the test runner's NODE_ENV. TMPDIR is the run's folder,
 * in which `test/run.ts` looks for leaks. With NODE_COMPILE_CACHE a program starts in half the CPU time.
 */
export function programEnv(): Record<string, string> {
  const env: Record<string, string> = { PATH: "", HOME: "" };
  for (const name of ["PATH", "HOME", "TMPDIR", "NODE_COMPILE_CACHE"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
