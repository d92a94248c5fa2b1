import { posix } from "node:path";
import { invalidArgument } from "../../api/errors.ts";
import { checkPath } from "../filesystem/paths.ts";
import { VM_MOUNTS } from "../sandbox/mount-table.ts";
import { OVERLAY_FOLDER } from "../sandbox/mounts.ts";

/** Places that the server, the host or the kernel makes, and places without which no program runs. */
const CLOSED = [...VM_MOUNTS.paths("kernel", "server", "host", "link"), "/etc", OVERLAY_FOLDER];

/** Checks where a mount may appear: not at, below or above a closed place. @throws AgentVmError `invalid_argument` */
export function checkTarget(path: string, argument: string): string {
  checkPath(path, "mount", argument);
  if (posix.normalize(path) !== path || (path.endsWith("/") && path !== "/"))
    throw invalidArgument(argument, "a path without a slash at its end", path);
  const closed = CLOSED.find((taken) => isWithin(path, taken) || isWithin(taken, path));
  if (closed !== undefined)
    throw invalidArgument(argument, `a path that is not at, below or above ${closed}`, path);
  return path;
}

/** Whether a path is a folder or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}
