/** A change of the file tree that a file method makes. */
export type TreeChange =
  | { action: "write"; path: string; content: Uint8Array }
  | { action: "mkdir"; path: string; recursive: boolean }
  | { action: "move"; from: string; to: string }
  | { action: "delete"; path: string; recursive: boolean };

interface FileChangeOptions {
  isReplayable?: boolean;
}

/**
 * Runs a change of the file tree and stores it.
 *
 * @param work makes the change
 * @param options `isReplayable`: whether a restart may repeat the change before it makes the mounts. @default true
 * @returns a promise that resolves after the change; `durable` resolves when the change survives a crash of the server
 */
export type FileChanges = (
  change: TreeChange,
  work: () => Promise<void>,
  options?: FileChangeOptions,
) => Promise<{ durable: Promise<void> }>;

/** Makes changes without storing them. */
export const unstoredChanges: FileChanges = async (_change, work) => {
  await work();
  return { durable: Promise.resolve() };
};
