export interface FileWatchRequest {
  /** Path that the subscriber gave. */
  path: string;
  /** Path with all links resolved. */
  realPath: string;
  recursive: boolean;
  /** Names to ignore, with everything below them. */
  exclude: readonly string[];
}

/** A change of a watched file or directory. */
export type FileWatchChange =
  | { type: "created" | "modified" | "deleted"; path: string; isDirectory: boolean }
  | { type: "renamed"; path: string; oldPath: string; isDirectory: boolean }
  /** Changes were lost: the subscriber must read the watched files again. */
  | { type: "overflow"; path: string }
  /** The watch has ended and reports nothing more. */
  | { type: "ended"; path: string };

export interface FileWatchSink {
  report(change: FileWatchChange): void;
  /** Resolves when the sink has room for more changes. `null` if it has room now. */
  drained(): Promise<void> | null;
}

export interface FileWatch {
  close(): void;
}

/** Reports changes of files. */
export interface SandboxWatches {
  /**
   * Watches a file or directory. Resolves when the watch is in effect.
   *
   * @throws AgentVmError with a POSIX code, `limit_exceeded`, or `watch_unavailable` if the host lacks a program for it
   */
  watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch>;
}
