import { z } from "zod";
import { MAX_WATCH_EXCLUDES } from "../limits.ts";
import { fitsUtf8 } from "../size.ts";
import { bool, id, options, path } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const method = methodsOf("watches");

/** A name in a directory, as in Linux (NAME_MAX). */
const MAX_NAME_BYTES = 255;

/** Options of `watchFiles`. */
export interface WatchFilesOptions {
  /** Also watches everything below a directory, including directories that are created later. @default false */
  recursive?: boolean;
  /** Names to leave out at any depth, with everything below them, such as `["node_modules"]`. @default [] */
  exclude?: string[];
}

/** A file watch. */
export interface FileWatchInfo {
  /** Id that `watchFiles` returned. */
  id: string;
  /** Watched path, as given. */
  path: string;
  /** Whether everything below the path is watched. */
  recursive: boolean;
  /** Names that are left out at any depth. */
  exclude: string[];
}

const fileName = z
  .string({ error: "a name" })
  .refine((name) => name !== "" && !name.includes("/") && fitsUtf8(name, MAX_NAME_BYTES), {
    error: `a name without "/", of 1 to ${MAX_NAME_BYTES} bytes`,
  });

const watchOptions = options({
  recursive: bool.optional(),
  exclude: z
    .array(fileName, { error: "an array of names" })
    .max(MAX_WATCH_EXCLUDES, { error: `at most ${MAX_WATCH_EXCLUDES} names` })
    .optional(),
}).optional();

/** File watches. Changes arrive as `fileChanged` events. Watches survive sleep, restart and crash. */
export const WATCH_METHODS = {
  /**
   * Watches a file, or the entries of a directory. Changes after the call has returned arrive as `fileChanged` events.
   *
   * @param path absolute path of a file or directory
   * @param options `recursive` and `exclude`
   * @returns the id of the watch
   * @throws AgentVmError `ENOENT`; `limit_exceeded`; `watch_unavailable` when the server's host cannot watch
   */
  watchFiles: method<(path: string, options?: WatchFilesOptions) => Promise<string>>()({
    right: "files",
    input: takes(["path", path], ["options", watchOptions]),
    boots: true,
  }),
  /**
   * Ends a watch. An unknown id does nothing.
   *
   * @param watchId id that `watchFiles` returned
   * @throws AgentVmError `invalid_argument`
   */
  unwatchFiles: method<(watchId: string) => Promise<void>>()({
    right: "files",
    input: takes(["watchId", id]),
  }),
  /** Lists the VM's file watches, oldest first. */
  listWatches: method<() => Promise<FileWatchInfo[]>>()({ right: "files", input: takes(), reads: true }),
};

export type WatchMethods = CallsOf<typeof WATCH_METHODS>;
