import type { CreateSessionOptions } from "../../api/types.ts";
import type { Files } from "../filesystem/files.ts";
import { INSTRUCTIONS_PATH } from "../sandbox/instructions.ts";

/** Above this the machine's own instructions are taken for something else, in bytes. */
const MAX_FILE_BYTES = 32 * 1024;

/** What an agent is told of the machine and of its task; `undefined` for nothing. */
export async function instructionsFor(
  files: Files,
  { skipOsInstructions = false, additionalInstructions }: CreateSessionOptions,
): Promise<string | undefined> {
  const machine = skipOsInstructions ? undefined : await machineInstructions(files);
  const whole = [machine, additionalInstructions].filter(Boolean).join("\n\n");
  return whole === "" ? undefined : whole;
}

async function machineInstructions(files: Files): Promise<string | undefined> {
  try {
    const { size } = await files.stat(INSTRUCTIONS_PATH);
    if (size > MAX_FILE_BYTES) return undefined;
    return Buffer.from(await files.readFile(INSTRUCTIONS_PATH))
      .toString("utf8")
      .trim();
  } catch {
    // Whoever owns the VM may have deleted it.
    return undefined;
  }
}
