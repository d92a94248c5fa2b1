import { closeSync, constants as fs, openSync } from "node:fs";
import { O_PATH } from "../../posix.ts";
import type { Launched } from "./launched.ts";
import { Launcher, LauncherLost, type LaunchRequest } from "./launcher.ts";

/** Tries of a start: the launcher may have ended a moment ago. */
const MAX_TRIES = 2;

let current: Launcher | undefined;

/**
 * Starts a program that inherits no descriptor and no variable of the server, in a session of its own. It ends with the server.
 *
 * @throws LaunchRefused if the host has no process or no descriptor left; the signal's reason
 */
export async function launch(request: LaunchRequest): Promise<Launched> {
  for (let tries = 1; ; tries++) {
    request.signal?.throwIfAborted();
    // The launcher opens it by its number, which may be another's once the caller has closed its own.
    const held = request.rootFd === undefined ? undefined : hold(request.rootFd);
    try {
      current = current?.isUsable === true ? current : new Launcher();
      return await current.start(request, held);
    } catch (error) {
      if (!(error instanceof LauncherLost) || tries === MAX_TRIES) throw error;
    } finally {
      if (held !== undefined) closeSync(held);
    }
  }
}

/** Opens a directory once more. */
export function hold(fd: number): number {
  return openSync(`/proc/self/fd/${fd}`, O_PATH | fs.O_DIRECTORY);
}
