import { constants, createReadStream } from "node:fs";
import { lstat, open, stat } from "node:fs/promises";
import { basename, dirname, join, posix, resolve } from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import type { VirtualStat } from "../../api/methods/files.ts";
import { free } from "../../base/bytes.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { EXIT, UsageError } from "../exit-codes.ts";
import { isContent, type Place, parsePlace } from "../key.ts";
import { invalidArchive } from "../local/archive-error.ts";
import { packLocal } from "../local/pack.ts";
import { type Skipped, skippedText } from "../local/skipped.ts";
import { unpack } from "../local/unpack.ts";
import { shownBytes } from "../shown.ts";
import { type Progress, showProgress } from "../terminal/progress.ts";
import { printFile, unlessMissing } from "./files.ts";

const STDIO = "-";

/** Bytes from which a file is not held in memory. */
const STREAMED_FROM = 64 * 1024 * 1024;

interface Copied {
  files: number;
  bytes: number;
  skipped?: Skipped[];
}

/** Copies a file or folder from this machine into a VM, out of a VM, or from a VM to another. */
export async function cp(cli: Cli, from: string, to: string): Promise<void> {
  const [source, target] = [parsePlace(from), parsePlace(to)];
  if (source === undefined && target === undefined)
    throw new UsageError("One of both must be KEY:PATH, such as alice:/workspace");
  const isText = to === STDIO;
  const bar = await showProgress(`Copying ${from}`, cli.out.json || isText);
  let copied: Copied;
  try {
    if (target === undefined) copied = await copyOut(cli, source as Place, to, bar);
    else if (source === undefined) copied = await copyIn(cli, from, target, bar);
    else copied = await copyAcross(cli, source, target);
  } catch (error) {
    bar.fail();
    throw error;
  }
  bar.end(`Copied ${copied.files} files, ${shownBytes(copied.bytes)}`);
  const { skipped, ...counts } = copied;
  const paths = skipped?.map(({ path }) => path);
  if (!isText) await cli.out.value({ ...counts, ...(paths && { skipped: paths }) }, "");
  for (const each of skipped ?? []) cli.out.warn(skippedText(each));
  if (skipped !== undefined && skipped.length > 0) process.exitCode = EXIT.partly;
}

async function copyIn(cli: Cli, from: string, target: Place, bar: Progress): Promise<Copied> {
  const vm = await cli.vm(target.key);
  const isStdin = from === STDIO;
  const info = isStdin ? undefined : await stat(from);
  const path = await targetIn(vm, target, isStdin ? undefined : from);
  const onProgress = (total: number | null) => (at: { transferred: number }) => bar.at(at.transferred, total);
  if (info?.isDirectory() || (info?.isFile() && (info.size > 0 || (await isEmpty(from))))) {
    const packed = await packLocal(from, info.isFile() ? posix.basename(path) : ".");
    const folder = info.isFile() ? posix.dirname(path) : path;
    const { files, bytes } = await vm.importTar(packed.archive, folder, {
      onProgress: onProgress(packed.bytes),
    });
    return { files, bytes, skipped: packed.skipped };
  }
  const source = counted(isStdin ? process.stdin : createReadStream(from));
  await vm.writeFile(path, source.stream, { onProgress: onProgress(null) });
  return { files: 1, bytes: source.bytes() };
}

/** Whether a file of size 0 has no bytes. Files of `/proc` have the size 0 and bytes. */
async function isEmpty(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    return (await file.read(Buffer.alloc(1))).bytesRead === 0;
  } finally {
    await file.close();
  }
}

/** Returns the path that a copy gets in a VM: below a folder that exists, under the source's name. */
async function targetIn(vm: VmHandle, { path, isFolder }: Place, from: string | undefined): Promise<string> {
  const found = await unlessMissing(vm.stat(path));
  if (!isFolder && !found?.isDirectory) return path;
  if (from === undefined) throw new UsageError(`${path} is a folder. Name the file for stdin`);
  return isContent(from) ? path : posix.join(path, basename(resolve(from)));
}

async function copyOut(cli: Cli, source: Place, to: string, bar: Progress): Promise<Copied> {
  const vm = await cli.vm(source.key);
  const info = await vm.stat(source.path);
  if (to === STDIO) {
    if (info.isDirectory)
      throw new UsageError(`${source.path} is a folder. Use \`agent-vm tar export\` for a stream`);
    return { files: 1, bytes: await printFile(cli, vm, source.path) };
  }
  const { path, isNamedByVm } = await targetOut(source, to);
  // A person may name a link to a folder. A link of an earlier copy may lead anywhere.
  if (isNamedByVm || !info.isDirectory) await refuseLink(path);
  const onProgress = ({ transferred, total }: { transferred: number; total: number | null }) =>
    bar.at(transferred, total);
  if (info.isDirectory) return await unpack(await vm.exportTar(source.path, { onProgress }), path);
  const isStreamed = info.size >= STREAMED_FROM && !(await vm.lstat(source.path)).isSymbolicLink;
  if (isStreamed) {
    const archive = await vm.exportTar(source.path, { onProgress });
    return await unpack(archive, dirname(path), { rename: basename(path) });
  }
  const data = await vm.readFile(source.path, { onProgress });
  await writeLocal(path, data, info);
  return { files: 1, bytes: data.byteLength };
}

/** Returns the path that a copy gets on this machine: below a folder that exists, under the name in the VM. */
async function targetOut(source: Place, to: string): Promise<{ path: string; isNamedByVm: boolean }> {
  const found = await stat(to).catch(() => undefined);
  const isInside = found?.isDirectory() === true || /[/\\]$/.test(to);
  const name = posix.basename(source.path);
  const isNamedByVm = isInside && !source.isContent && name !== "";
  return { path: isNamedByVm ? join(to, name) : to, isNamedByVm };
}

/** @throws AgentVmError `invalid_archive` for a path that is a link */
async function refuseLink(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink()) throw invalidArchive(`${path} is a link on this machine`);
}

async function writeLocal(path: string, data: Uint8Array, { mode }: VirtualStat): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o666);
  try {
    await file.writeFile(data);
    // Only the owner's right to run the file is the VM's choice.
    const found = await file.stat();
    if ((mode & 0o100) !== 0 && found.isFile())
      await file.chmod((found.mode & 0o777) | 0o100).catch(() => undefined);
  } finally {
    await file.close();
  }
}

async function copyAcross(cli: Cli, source: Place, target: Place): Promise<Copied> {
  const [from, to] = [await cli.vm(source.key), await cli.vm(target.key)];
  const info = await from.stat(source.path);
  const path = await targetIn(to, target, source.isContent ? "." : source.path);
  if (info.isDirectory) {
    const { files, bytes } = await to.importTar(await from.exportTar(source.path), path);
    return { files, bytes };
  }
  const content = counted(Readable.fromWeb(await from.readFile(source.path, { stream: true })));
  await to.writeFile(path, content.stream);
  return { files: 1, bytes: content.bytes() };
}

/** Turns a source into the stream that `writeFile` takes, and counts its bytes. */
function counted(source: Readable): { stream: ReadableStream<Uint8Array>; bytes: () => number } {
  let bytes = 0;
  let last: Uint8Array = new Uint8Array();
  const pieces: AsyncIterator<Uint8Array> = source[Symbol.asyncIterator]();
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // The client has copied it. The garbage collector would leave hundreds of megabytes of such pieces for a while.
        free(last);
        const next = await pieces.next();
        if (next.done) return controller.close();
        last = next.value;
        bytes += last.byteLength;
        controller.enqueue(last);
      },
      cancel() {
        source.destroy();
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, bytes: () => bytes };
}
