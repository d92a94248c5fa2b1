import type { VmHandle } from "../../../client/index.ts";

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

/** Reads a file at one side. A file that is not there has no text. */
export async function fileText(vm: VmHandle, side: Side, path: string): Promise<FileText> {
  try {
    const { content, size } = side === "now" ? await readNow(vm, path) : await readThen(vm, side, path);
    const text = textOf(content);
    if (text === undefined) return { text: "", note: "Not a text." };
    return size > content.length
      ? { text, note: `The first ${MAX_BYTES.toLocaleString()} bytes.` }
      : { text };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return NOTHING;
    if (code === "EISDIR") return { text: "", note: "A directory." };
    throw error;
  }
}

async function readThen(vm: VmHandle, { snapshot }: { snapshot: string }, path: string) {
  return await vm.readSnapshotFile(snapshot, path, { length: MAX_BYTES });
}

async function readNow(vm: VmHandle, path: string) {
  const { size } = await vm.stat(path);
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
  return { content, size };
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
