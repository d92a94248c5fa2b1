import type { SpawnedProcessInfo } from "../../api/methods/process-types.ts";
import { wireSize } from "../../api/size.ts";
import { MAX_KEPT_COMMAND_CHARS, MAX_LISTED_PROCESS_BYTES } from "./limits.ts";

/** Characters of a command that is listed without arguments. */
const SHORT_COMMAND_CHARS = 256;

/** Characters that an argument takes besides its own, because it may be empty. */
const ARGUMENT_CHARS = 8;

interface CommandLine {
  command: string;
  args: readonly string[];
}

/** Returns the beginning of a command line. A VM remembers more than a thousand processes, each of which may have 1 MiB of arguments. */
export function keptCommand({ command, args }: CommandLine): { command: string; args: string[] } {
  let left = MAX_KEPT_COMMAND_CHARS;
  const begin = (text: string): string => {
    const kept = text.length <= left ? text : copied(text.slice(0, left));
    left -= kept.length + ARGUMENT_CHARS;
    return kept;
  };
  const kept = { command: begin(command), args: [] as string[] };
  for (const arg of args) {
    if (left <= 0) break;
    kept.args.push(begin(arg));
  }
  return kept;
}

/** Shortens the oldest command lines of a list, so that it fits into one message. @param infos oldest first */
export function listed(infos: readonly SpawnedProcessInfo[]): SpawnedProcessInfo[] {
  let left = MAX_LISTED_PROCESS_BYTES;
  const newestFirst = infos.toReversed().map((info) => {
    left -= wireSize(info);
    return left >= 0 ? info : { ...info, command: info.command.slice(0, SHORT_COMMAND_CHARS), args: [] };
  });
  return newestFirst.reverse();
}

/** A part of a text keeps the whole text in memory. */
function copied(part: string): string {
  return Buffer.from(part, "utf16le").toString("utf16le");
}
