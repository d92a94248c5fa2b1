import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { helperSource } from "../helpers/programs.ts";
import type { Tools } from "../tools.ts";
import { copyHostCpus } from "./host-cpus.ts";
import { copyHostEtc } from "./host-etc.ts";
import { makeHostFiles } from "./made-host-files.ts";
import { workspaceSubfolder } from "./scratch-folder.ts";

/** The differences between copies. */
interface CopyOptions {
  /** IANA name. @default UTC */
  timezone: string | undefined;
  /** Folders of the host that are mounted below the folder. */
  data: readonly string[];
  /** Names of programs that call the server. */
  callers: readonly string[];
}

/** Copies of this server by their options. They go with the scratch folder. */
const copies = new Map<string, Promise<string>>();
let made = 0;

/**
 * Makes the folder that VMs see at `HOST_FOLDER`: the host's configuration and CPUs, and files of the server. The server
 * makes it once for all VMs with the same options. The VMs mount it read-only.
 *
 * @returns its path
 */
export function hostCopy(options: CopyOptions, tools: Pick<Tools, "perl">): Promise<string> {
  const key = JSON.stringify(options);
  const found = copies.get(key);
  if (found !== undefined) return found;
  const copy = makeCopy(options, tools).catch((error: unknown) => {
    // The next boot tries again.
    copies.delete(key);
    throw error;
  });
  copies.set(key, copy);
  return copy;
}

async function makeCopy(
  { timezone, data, callers }: CopyOptions,
  { perl }: Pick<Tools, "perl">,
): Promise<string> {
  const host = workspaceSubfolder(`host-${made++}`);
  try {
    const etc = join(host, "etc");
    for (const path of [host, etc, ...data.map((path) => join(host, path))]) {
      mkdirSync(path, { recursive: true });
      chmodSync(path, 0o755);
    }
    await copyHostEtc(etc);
    await copyHostCpus(join(host, "cpu"));
    makeHostFiles(host, timezone);
    makeCallers(host, perl, callers);
    return host;
  } catch (error) {
    await rm(host, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Writes programs that call the server into the folder of the host's programs. All are one program, which sends the name
 * that it was started by.
 *
 * @param names of the programs
 */
function makeCallers(folder: string, perl: string, names: readonly string[]): void {
  const [first, ...others] = names;
  if (first === undefined) return;
  const path = join(folder, "bin", first);
  writeFileSync(path, `#!${perl}\n${helperSource("caller")}`);
  chmodSync(path, 0o755);
  for (const name of others) symlinkSync(first, join(folder, "bin", name));
}
