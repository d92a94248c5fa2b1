import { spawn } from "node:child_process";
import { once } from "node:events";
import { programEnv } from "./program-env.ts";

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
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
