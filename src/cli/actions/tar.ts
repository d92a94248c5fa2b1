import { createReadStream, createWriteStream } from "node:fs";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { needPlace, parsePlace } from "../key.ts";
import { shownBytes } from "../shown.ts";
import { showProgress } from "../terminal/progress.ts";
import { write } from "../terminal/streams.ts";

const STDIO = "-";

/** Writes the files of a VM as a tar archive to a file, or to stdout. */
export async function exportTar(cli: Cli, name: string, file = STDIO): Promise<void> {
  const { key, path } = parsePlace(name) ?? needPlace(name, "/");
  const isStdout = file === STDIO;
  if (isStdout && cli.out.json) throw new UsageError("The archive goes to stdout. Name a file to print JSON");
  if (isStdout && process.stdout.isTTY)
    throw new UsageError("An archive is not for a terminal. Name a file, or use a pipe");
  const bar = await showProgress("Exporting", cli.out.json);
  const vm = await cli.vm(key);
  let bytes = 0;
  const archive = await vm.exportTar(path, {
    onProgress: ({ transferred, total }) => {
      bytes = transferred;
      bar.at(transferred, total);
    },
  });
  try {
    if (isStdout) for await (const piece of archive) await write(process.stdout, piece);
    else await pipeline(archive, createWriteStream(file, { mode: 0o600 }));
  } catch (error) {
    bar.fail();
    throw error;
  }
  bar.end(`Exported ${shownBytes(bytes)}`);
  if (!isStdout) await cli.out.value({ file, bytes }, "");
}

/** Unpacks a tar archive of a file, or of stdin, in a VM: all of it or nothing. */
export async function importTar(cli: Cli, name: string, file = STDIO): Promise<void> {
  const { key, path } = parsePlace(name) ?? needPlace(name, "/");
  const vm = await cli.vm(key);
  if (file === STDIO && process.stdin.isTTY)
    throw new UsageError("Name a file, or give the archive to stdin");
  const source = file === STDIO ? process.stdin : createReadStream(file);
  const bar = await showProgress("Importing", cli.out.json);
  try {
    const result = await vm.importTar(Readable.toWeb(source) as ReadableStream<Uint8Array>, path, {
      onProgress: ({ transferred, total }) => bar.at(transferred, total),
    });
    bar.end(`Imported ${result.files} files, ${shownBytes(result.bytes)}`);
    await cli.out.value(result, "");
    if (result.skipped > 0) cli.out.warn(`${result.skipped} devices and FIFOs were left out`);
  } catch (error) {
    bar.fail();
    throw error;
  }
}
