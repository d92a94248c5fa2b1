import { realpathSync } from "node:fs";
import type { HostFolder } from "../sandbox/mounts.ts";
import { isWithin } from "./targets.ts";

/** Real paths of the operator's folders, as they were when the first VM booted that may mount them. */
const realPaths = new Map<string, string>();

/**
 * Resolves the links of the operator's folders. A program of a VM that may write above a folder could replace it with a link
 * later, and nobody follows that one.
 */
export function settleFolders(paths: readonly string[]): void {
  for (const path of paths) {
    if (realPaths.has(path)) continue;
    try {
      realPaths.set(path, realpathSync(path));
    } catch {
      // The folder may come later.
    }
  }
}

/**
 * Returns a path of the host as a place below the outermost folder that holds it. The kernel refuses every link below.
 *
 * @param hostPath absolute, normalized path
 * @param folders folders of the operator
 */
export function hostPlaceOf(hostPath: string, folders: readonly string[]): HostFolder | undefined {
  const [outermost] = folders.filter((path) => isWithin(hostPath, path)).sort((a, b) => a.length - b.length);
  if (outermost === undefined) return undefined;
  const name = hostPath.slice(outermost.length).replace(/^\//, "");
  return { folder: realPaths.get(outermost) ?? outermost, name };
}
