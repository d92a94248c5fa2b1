import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { AgentVmError } from "../../api/errors.ts";
import { writeWhole } from "../../rivet/data-format.ts";

const FILE = "tokens.secret";

/** HS256 takes keys of at least this many bytes. */
const MIN_BYTES = 32;

/**
 * Reads the secret that signs the tokens of a data folder. Makes a missing one.
 *
 * @throws AgentVmError `invalid_argument` if the file is too short
 */
export function folderSecret(folder: string): Uint8Array {
  const file = join(folder, FILE);
  if (!fs.existsSync(file)) writeWhole(file, randomBytes(MIN_BYTES).toString("hex"));
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  try {
    return checkedSecret(fs.readFileSync(descriptor, "utf8").trim(), file);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** @throws AgentVmError `invalid_argument` if a secret is too short */
export function checkedSecret(text: string, source: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.byteLength >= MIN_BYTES) return bytes;
  throw new AgentVmError(
    "invalid_argument",
    `Expected the secret in ${source} to have at least ${MIN_BYTES} bytes, got ${bytes.byteLength}. \`openssl rand -hex 32\` prints one.`,
  );
}
