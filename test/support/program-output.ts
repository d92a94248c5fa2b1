import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";

/** Collects the output of a program as text. Read it after the event `close` of the program. */
export function collectOutput({ stdout, stderr }: ChildProcess & { stdout: Readable; stderr: Readable }) {
  const output = { stdout: "", stderr: "" };
  stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  return output;
}
