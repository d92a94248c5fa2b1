import { type ProgramEnd, runProgram } from "./program.ts";
import { AGENT_VM_PROGRAM } from "./server-process.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Runs `agent-vm` with arguments, and text for its stdin. */
export type RunCli = (args: readonly string[], stdin?: string) => Promise<ProgramEnd>;

/** Variables of a command line that talks to a server, with a configuration of its own. Call it outside tests. */
export function cliEnv(): (server: { endpoint: string }) => Record<string, string> {
  const home = temporaryFolder();
  return ({ endpoint }) => ({ AGENT_VM_ENDPOINT: endpoint, HOME: home, XDG_CONFIG_HOME: home });
}

/** Makes a function that runs `agent-vm` as a program. Call it outside tests. */
export function cliOf(server: () => { endpoint: string }): RunCli {
  const env = cliEnv();
  return (args, stdin = "") => runProgram([AGENT_VM_PROGRAM, ...args], { env: env(server()), stdin });
}

/** Runs a command that must succeed and say nothing on stderr. @returns its stdout */
export function succeeding(run: RunCli): (args: readonly string[], stdin?: string) => Promise<string> {
  return async (args, stdin) => {
    const { code, stdout, stderr } = await run(args, stdin);
    if (code !== 0 || stderr !== "")
      throw new Error(`agent-vm ${args.join(" ")} exited with ${code}: ${stderr}`);
    return stdout;
  };
}
