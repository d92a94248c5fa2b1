import { spawn } from "node:child_process";
import { once } from "node:events";
import { programEnv } from "./program-env.ts";
import { collectOutput } from "./program-output.ts";

export interface ProgramEnd {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a Node program, or another one, to its end. */
export async function runProgram(
  args: readonly string[],
  options: { program?: string; cwd?: string; env?: Record<string, string>; stdin?: string } = {},
): Promise<ProgramEnd> {
  const child = spawn(options.program ?? process.execPath, args, {
    env: { ...programEnv(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ["pipe", "pipe", "pipe"],
  });
  // A program may end before it reads its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  const output = collectOutput(child);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...output };
}
