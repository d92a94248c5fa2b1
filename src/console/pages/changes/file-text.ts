import type { SnapshotFile, VmHandle } from "../../../client/index.ts";

/** A state of a machine's files: the id of a snapshot, or the files as they are now. */
export type Side = { snapshot: string } | "now";

/** A file at one side, as text. */
export interface FileText {
  text: string;
  /** Why the text is not the whole file. */
  note?: string;
}

/** Bytes of a file that are compared. */
const MAX_BYTES = 1_000_000;

const NOTHING: FileText = { text: "" };

/**
 * Reads a file at one side. Links are not followed.
 *
 * @param absent stands for a file that is not there. @default no text
 */
export async function fileText(
  vm: VmHandle,
  side: Side,
  path: string,
  absent: FileText = NOTHING,
): Promise<FileText> {
  try {
    const { type, content, size } = side === "now" ? await readNow(vm, path) : await readThen(vm, side, path);
    const text = textOf(content);
    if (type === "symlink") return { text: "", note: text ? `A link to ${text}.` : "A link." };
    if (text === undefined) return { text: "", note: "Not a text." };
    return size > content.length
      ? { text, note: `The first ${MAX_BYTES.toLocaleString()} bytes.` }
      : { text };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return absent;
    if (code === "EISDIR") return { text: "", note: "A directory." };
    throw error;
  }
}

type Read = Pick<SnapshotFile, "type" | "content" | "size">;

async function readThen(vm: VmHandle, { snapshot }: { snapshot: string }, path: string): Promise<Read> {
  return await vm.readSnapshotFile(snapshot, path, { length: MAX_BYTES });
}

async function readNow(vm: VmHandle, path: string): Promise<Read> {
  const { size, isSymbolicLink } = await vm.lstat(path);
  // No method reads the target of a link.
  if (isSymbolicLink) return { type: "symlink", content: new Uint8Array(), size };
  const reader = (await vm.readFile(path, { stream: true })).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < MAX_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  await reader.cancel();
  const content = new Uint8Array(await new Blob(parts as BlobPart[]).slice(0, MAX_BYTES).arrayBuffer());
  return { type: "file", content, size };
}

/** Returns bytes as text. A character that the end cuts off is left out. @returns `undefined` for other bytes */
function textOf(content: Uint8Array): string | undefined {
  if (content.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content, { stream: true });
  } catch {
    return undefined;
  }
}
