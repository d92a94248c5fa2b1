import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import { StarterLost } from "./command.ts";

/** A child told to have pipes has none where the server is out of descriptors; its "error" follows. */
export function withStdio(child: ChildProcess): ChildProcessWithoutNullStreams {
  if (child.stdin && child.stdout && child.stderr) return child as ChildProcessWithoutNullStreams;
  child.on("error", () => undefined);
  throw new StarterLost("the server has no descriptors left for its pipes");
}
