import type { FileSystem } from "../../files.ts";
import { overlayUpper } from "../../mounts.ts";
import { codeOf, namesIn } from "../../posix.ts";
import { RUN_FOLDER } from "../../vm-layout.ts";

/** Places in a VM that an overlay writes to. */
export interface OverlayLayers {
  /** Its changes, which checkpoints keep. */
  upper: string;
  /** A folder that the kernel needs while the overlay is mounted. */
  work: string;
}

let count = 0;

/** Makes the layers of an overlay. The changes of an earlier mount at the path are there. */
export async function makeLayers(files: FileSystem, path: string): Promise<OverlayLayers> {
  const layers = { upper: overlayUpper(path), work: `${RUN_FOLDER}/overlays/${count++}` };
  for (const folder of Object.values(layers)) await makeDirectories(files, folder);
  return layers;
}

async function makeDirectories(files: FileSystem, folder: string): Promise<void> {
  let path = "";
  for (const name of namesIn(folder)) {
    path += `/${name}`;
    await files.mkdir(path).catch((error: unknown) => {
      if (codeOf(error) !== "EEXIST") throw error;
    });
  }
}
