import { rmSync } from "node:fs";
import { afterAll, onTestFinished } from "vitest";
import { folderOfProcess } from "./process-folder.ts";

/** Makes a folder that is removed after the test file. Call it outside tests. */
export function temporaryFolder(): string {
  return made(afterAll);
}

/** Makes a folder that is removed after the test. Call it in a test. */
export function testFolder(): string {
  return made(onTestFinished);
}

/**
 * Makes a folder for the data of a server in this process. RivetKit writes there until the process ends, so files may
 * outlive the removal. The leak check of `test/run.ts` ignores this name.
 */
export function dataFolder(): string {
  return folderOfProcess("agent-vm-data-");
}

/** Vitest runs no hook of a file whose tests are all skipped. */
function made(atEnd: (run: () => void) => void): string {
  const folder = folderOfProcess();
  atEnd(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));
  return folder;
}
