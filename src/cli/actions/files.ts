import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { AgentVmError } from "../../api/errors.ts";
import { textOrBytes } from "../../base/bytes.ts";
import type { VmHandle } from "../../client/types.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { keyText, needPlace } from "../key.ts";
import { onSignals } from "../terminal/interrupts.ts";
import { followConnection } from "./follow.ts";

/** Prints files as they are, or as they were in a snapshot. */
export async function cat(cli: Cli, names: string[], { snapshot }: { snapshot?: string }): Promise<void> {
  for (const name of names) {
    const { key, path } = needPlace(name);
    const vm = await cli.vm(key);
    if (!cli.out.json) {
      if (snapshot === undefined) await printFile(cli, vm, path);
      else for await (const piece of partsOf(vm, snapshot, path)) await cli.out.raw(piece);
      continue;
    }
    const data = snapshot === undefined ? await vm.readFile(path) : await wholeOf(vm, snapshot, path);
    await cli.out.value({ path, size: data.byteLength, content: textOrBytes(data) }, "");
  }
}

/** Reads a file of a snapshot, part by part. */
async function* partsOf(vm: VmHandle, snapshot: string, path: string): AsyncGenerator<Uint8Array> {
  let offset = 0;
  let left = true;
  while (left) {
    const { content, size } = await vm.readSnapshotFile(snapshot, path, { offset });
    yield content;
    offset += content.byteLength;
    left = content.byteLength > 0 && offset < size;
  }
}

async function wholeOf(vm: VmHandle, snapshot: string, path: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of partsOf(vm, snapshot, path)) parts.push(part);
  return Buffer.concat(parts);
}

/** Prints a file while it arrives. Returns its number of bytes. */
export async function printFile(cli: Cli, vm: VmHandle, path: string): Promise<number> {
  let bytes = 0;
  for await (const piece of await vm.readFile(path, { stream: true })) {
    await cli.out.raw(piece);
    bytes += piece.byteLength;
  }
  return bytes;
}

/** Opens a file of a VM in this machine's editor, and writes it back if it has changed. */
export async function edit(cli: Cli, name: string): Promise<void> {
  const place = needPlace(name);
  if (!process.stdin.isTTY) throw new UsageError("An editor needs a terminal. Use `agent-vm cp` in a script");
  const editor = process.env.VISUAL || process.env.EDITOR || "vi";
  const vm = await cli.vm(place.key);
  const before = await contentOf(vm, place.path);
  const folder = await mkdtemp(join(tmpdir(), "agent-vm-edit-"));
  // The name is the VM's: an editor chooses colours by it, and nothing else may be read into it.
  const file = join(
    folder,
    basename(place.path)
      .replace(/[^\w.-]/g, "_")
      .slice(-80) || "file",
  );
  let isKept = false;
  try {
    await writeFile(file, before ?? "", { mode: 0o600 });
    const child = spawn("sh", ["-c", lineOf(editor), "sh", file], { stdio: "inherit" });
    const stop = onSignals((signal) => {
      // The terminal sends Ctrl-C and Ctrl-\ to the editor too, as its keys.
      if (signal !== "SIGINT" && signal !== "SIGQUIT") child.kill(signal);
    });
    const [code] = (await once(child, "exit").finally(stop)) as [number | null];
    const after = await readFile(file);
    const isChanged = before !== undefined ? !after.equals(before) : after.length > 0;
    // A signal may have ended a shell whose editor goes on, and writes later.
    isKept = isChanged || code === null;
    const kept = `Your version is kept: ${file}`;
    if (code !== 0)
      throw new Error(
        `The editor has failed: ${editor}. The file in the VM is unchanged.${isKept ? ` ${kept}` : ""}`,
      );
    if (!isChanged) {
      cli.out.note("Unchanged.");
      return;
    }
    try {
      const now = await contentOf(vm, place.path);
      if (now === undefined ? before !== undefined : !before?.equals(now))
        throw new Error("The file has changed in the VM meanwhile.");
      await vm.writeFile(place.path, after);
    } catch (error) {
      cli.out.warn(kept);
      throw error;
    }
    isKept = false;
    cli.out.note(`Written: ${keyText(place.key)}:${place.path}`);
  } finally {
    if (!isKept) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Returns the shell's line for an editor with its arguments. The path is the shell's own argument. The editor takes the place of
 * the shell, so that signals reach it. `env` runs an editor that begins with variables. Several commands need the shell, which
 * then leaves Ctrl-C and Ctrl-\ to them.
 */
function lineOf(editor: string): string {
  return /[;&|(\n]|^\s*(\w+=\S*\s+)*(:|\.|exec|command|builtin|eval)(\s|$)/.test(editor)
    ? `trap : INT QUIT; ${editor} "$1"`
    : `exec env ${editor} "$1"`;
}

async function contentOf(vm: VmHandle, path: string): Promise<Buffer | undefined> {
  const content = await unlessMissing(vm.readFile(path));
  return content && Buffer.from(content);
}

/** Returns the result of a call, or `undefined` if its path does not exist. */
export async function unlessMissing<Value>(call: Promise<Value>): Promise<Value | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof AgentVmError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

interface WatchOptions {
  recursive?: boolean;
  exclude?: string[];
  count?: number;
}

/** Prints changes of files until Ctrl-C, or until there were `--count` of them. */
export async function watch(
  cli: Cli,
  name: string,
  { recursive, exclude, count }: WatchOptions,
): Promise<void> {
  const { key, path } = needPlace(name);
  const vm = await cli.vm(key);
  const connection = vm.connect();
  const line = followConnection(connection, () =>
    cli.out.warn("the line broke: changes meanwhile are not shown"),
  );
  const enough = Promise.withResolvers<void>();
  let watchId: string | undefined;
  let left = count ?? Number.POSITIVE_INFINITY;
  connection.on("fileChanged", (event) => {
    if (event.watchId !== watchId || left <= 0) return;
    const { type, path: changed, oldPath } = event;
    left -= 1;
    void cli.out.value(
      event,
      `${type.padEnd(8)} ${oldPath === undefined ? changed : `${oldPath} -> ${changed}`}`,
    );
    if (left === 0 || type === "ended") enough.resolve();
  });
  try {
    // The handle fails at once without a server.
    watchId = await vm.watchFiles(path, { recursive, exclude });
    cli.out.note(`Watching ${path}. Ctrl-C ends.`);
    await line.untilInterrupted(enough.promise);
  } finally {
    line.stop();
    // A watch survives its connection.
    if (watchId !== undefined) await vm.unwatchFiles(watchId).catch(() => undefined);
  }
}
