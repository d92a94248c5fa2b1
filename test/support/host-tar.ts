import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testFolder } from "./temporary-folder.ts";

/** Runs a shell line on the host. */
export function onHost(line: string, cwd: string): string {
  return execFileSync("bash", ["-c", line], { cwd, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
}

/** Makes an archive of the files that a shell line creates, with the host's own tar. */
export function hostTar(line: string, options = "--format=posix"): Buffer {
  const folder = testFolder();
  mkdirSync(join(folder, "tree"));
  onHost(line, join(folder, "tree"));
  onHost(`tar ${options} -cf archive.tar -C tree .`, folder);
  return execFileSync("cat", [join(folder, "archive.tar")], { maxBuffer: 1024 ** 3 });
}

/** Unpacks an archive with the host's own tar and returns the output of a shell line in that folder. */
export function inHostTar(archive: Uint8Array, line: string): string {
  const folder = testFolder();
  mkdirSync(join(folder, "tree"));
  writeFileSync(join(folder, "archive.tar"), archive);
  onHost("tar --no-same-owner -xpf archive.tar -C tree", folder);
  return onHost(line, join(folder, "tree"));
}

/** Prints type, mode, time in microseconds, and size or link target of each name of a tree, and all files' checksums. */
export const DESCRIBE_TREE = [
  "find . -type l -printf '%p %y %l\\n' -o -type f -printf '%p %y %m %T@ %s %n\\n' -o -printf '%p %y %m %T@\\n' | sed -E 's/(\\.[0-9]{6})[0-9]+/\\1/' | sort",
  "find . -type f -print0 | sort -z | xargs -0 sha256sum",
].join("; ");
