import type { Stats } from "node:fs";
import type { FileChange } from "../../api/methods/snapshot-types.ts";
import { type HostFolder, OVERLAY_FOLDER, overlayUpper, WHITEOUT_TARGET } from "../sandbox/mounts.ts";
import { statBelow } from "./base-stat.ts";
import { isWithin } from "./targets.ts";

/** An overlay of a VM. */
export interface Overlay {
  /** Path in the VM. */
  path: string;
  /** Its base on the host. */
  base: HostFolder;
}

/** A change of the VM's stored files, with the target of a link. */
type StoredChange = FileChange & { target?: string };

/**
 * Shows the changes of overlays at the paths of the overlays. The VM keeps them in `OVERLAY_FOLDER`: changed files, and a link
 * with the text `WHITEOUT_TARGET` for each deleted file of the base.
 */
export class OverlayView {
  readonly #overlays: readonly (Overlay & { upper: string })[];

  constructor(overlays: readonly Overlay[]) {
    this.#overlays = overlays.map((overlay) => ({ ...overlay, upper: overlayUpper(overlay.path) }));
  }

  /** Returns the overlay in which a path lies, and the path of its change. @returns `undefined` for the VM's own files */
  changeOf(path: string): { overlay: string; path: string } | undefined {
    const [found] = this.#overlays
      .filter((overlay) => isWithin(path, overlay.path))
      .sort((a, b) => b.path.length - a.path.length);
    return found && { overlay: found.path, path: found.upper + path.slice(found.path.length) };
  }

  /** Returns a change as the VM sees it. @returns `undefined` for a change that it does not see */
  show({ target, ...changed }: StoredChange): FileChange | undefined {
    const { path } = changed;
    // The folders above the changes are the server's.
    if (path === ABOVE) return undefined;
    if (!isWithin(path, OVERLAY_FOLDER)) return changed;
    const overlay = this.#overlays.find(({ upper }) => isWithin(path, upper));
    if (overlay === undefined || path === overlay.upper) return undefined;
    const below = path.slice(overlay.upper.length);
    const base = statBelow(overlay.base, below);
    const shown = { ...changed, path: overlay.path + below };
    if (isWhiteout({ type: changed.type, target })) {
      if (base === undefined) return undefined;
      const change = changed.change === "deleted" ? "added" : "deleted";
      return { ...shown, change, type: typeOf(base), size: base.isFile() ? base.size : 0 };
    }
    // A directory of the base is copied with the first change in it.
    if (changed.type === "directory" && base?.isDirectory())
      return changed.change === "mode" ? shown : undefined;
    return base !== undefined && changed.change !== "mode" ? { ...shown, change: "modified" } : shown;
  }
}

/** Returns whether a stored entry of an overlay stands for a deleted file of the base. */
export function isWhiteout({
  type,
  target,
}: {
  type: FileChange["type"];
  target?: string | undefined;
}): boolean {
  return type === "symlink" && target === WHITEOUT_TARGET;
}

/** The folder that the server makes above `OVERLAY_FOLDER`. */
const ABOVE = OVERLAY_FOLDER.slice(0, OVERLAY_FOLDER.lastIndexOf("/"));

function typeOf(stats: Stats): FileChange["type"] {
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "file";
}
