import { chmodSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { copyHostCpus } from "./host-cpus.ts";
import { copyHostEtc } from "./host-etc.ts";
import { makeHostFiles } from "./made-host-files.ts";
import { workspaceSubfolder } from "./scratch-folder.ts";

/** Copies of this server by time zone. They go with the scratch folder. */
const copies = new Map<string, Promise<string>>();
let made = 0;

/**
 * Makes the folder that VMs see at `HOST_FOLDER`: the host's configuration and CPUs, and files of the server. The server
 * makes it once for all its VMs of a time zone. The VMs mount it read-only.
 *
 * @param data folders of the host that are mounted below the folder
 * @returns its path
 */
export function hostCopy(timezone: string | undefined, data: readonly string[]): Promise<string> {
  const key = timezone ?? "";
  const found = copies.get(key);
  if (found !== undefined) return found;
  const copy = makeCopy(timezone, data).catch((error: unknown) => {
    // The next boot tries again.
    copies.delete(key);
    throw error;
  });
  copies.set(key, copy);
  return copy;
}

async function makeCopy(timezone: string | undefined, data: readonly string[]): Promise<string> {
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
    return host;
  } catch (error) {
    await rm(host, { recursive: true, force: true });
    throw error;
  }
}
