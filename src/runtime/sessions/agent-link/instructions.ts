import type { CreateSessionOptions } from "../../../api/methods/session-types.ts";
import type { Files } from "../../filesystem/files.ts";
import { INSTRUCTIONS_PATH } from "../../sandbox/instructions.ts";

/** Bytes above which the file is not taken for instructions of the VM. */
const MAX_FILE_BYTES = 32 * 1024;

/**
 * The VM's instructions, the list of the host functions and the session's additional ones; `undefined` if there are no
 * instructions.
 */
export async function instructionsFor(
  files: Files,
  { skipOsInstructions = false, additionalInstructions }: CreateSessionOptions,
  hostInstructions: string | undefined,
): Promise<string | undefined> {
  const vmParts = skipOsInstructions ? [] : [await vmInstructions(files), hostInstructions];
  const whole = [...vmParts, additionalInstructions].filter(Boolean).join("\n\n");
  return whole === "" ? undefined : whole;
}

async function vmInstructions(files: Files): Promise<string | undefined> {
  try {
    const { size } = await files.stat(INSTRUCTIONS_PATH);
    if (size > MAX_FILE_BYTES) return undefined;
    return Buffer.from(await files.readFile(INSTRUCTIONS_PATH))
      .toString("utf8")
      .trim();
  } catch {
    // The user may have deleted the file.
    return undefined;
  }
}
