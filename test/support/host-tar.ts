import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testFolder } from "./temporary-folder.ts";

/** Runs a shell line on the host. */
export function onHost(line: string, cwd: string): string {
  return execFileSync("bash", ["-c", line], { cwd, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
}

/** A tar archive that the host's own tar makes of what a shell line makes. */
export function hostTar(line: string, options = "--format=posix"): Buffer {
  const folder = testFolder();
  mkdirSync(join(folder, "tree"));
  onHost(line, join(folder, "tree"));
  onHost(`tar ${options} -cf archive.tar -C tree .`, folder);
  return execFileSync("cat", [join(folder, "archive.tar")], { maxBuffer: 1024 ** 3 });
}

/** Unpacks an archive with the host's own tar, and answers what a shell line prints in it. */
export function inHostTar(archive: Uint8Array, line: string): string {
  const folder = testFolder();
  mkdirSync(join(folder, "tree"));
  writeFileSync(join(folder, "archive.tar"), archive);
  onHost("tar --no-same-owner -xpf archive.tar -C tree", folder);
  return onHost(line, join(folder, "tree"));
}

/** Every name of a tree with its type, mode, time in microseconds, size of files and target of links, and the sums of all files. */
export const DESCRIBE_TREE = [
  "find . -type l -printf '%p %y %l\\n' -o -type f -printf '%p %y %m %T@ %s %n\\n' -o -printf '%p %y %m %T@\\n' | sed -E 's/(\\.[0-9]{6})[0-9]+/\\1/' | sort",
  "find . -type f -print0 | sort -z | xargs -0 sha256sum",
].join("; ");
