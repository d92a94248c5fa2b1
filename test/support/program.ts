import { spawn } from "node:child_process";
import { once } from "node:events";

export interface ProgramEnd {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a Node program to its end. */
export async function runProgram(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; stdin?: string } = {},
): Promise<ProgramEnd> {
  const child = spawn(process.execPath, args, {
    // The test runner's own NODE_ENV must not reach it.
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ["pipe", "pipe", "pipe"],
  });
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
