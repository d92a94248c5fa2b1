import process from "node:process";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit-codes.ts";
import { needPlace } from "../key.ts";
import { shownBytes, shownTime } from "../shown.ts";
import { confirm } from "../terminal/ask.ts";

export async function createSnapshot(cli: Cli, key: string, name: string | undefined): Promise<void> {
  const made = await (await cli.vm(key)).createSnapshot(...(name === undefined ? [] : [name]));
  await cli.out.value(made, made.id);
}

export async function listSnapshots(cli: Cli, key: string): Promise<void> {
  await cli.out.table(await (await cli.vm(key)).listSnapshots(), [
    { title: "SNAPSHOT", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "CREATED", of: ({ createdAt }) => shownTime(createdAt) },
    { title: "FILES", of: ({ files }) => files, isNumber: true },
    { title: "BYTES", of: ({ bytes }) => shownBytes(bytes), isNumber: true },
  ]);
}

/** Replaces all files of a VM, after a question. */
export async function restoreSnapshot(
  cli: Cli,
  key: string,
  snapshot: string,
  { yes }: { yes?: boolean },
): Promise<void> {
  const vm = await cli.vm(key);
  if (
    !yes &&
    !(await confirm(`Replace all files of ${key} with those of ${snapshot}, and end its processes?`, "--yes"))
  ) {
    process.exitCode = EXIT.failed;
    return;
  }
  await vm.restoreSnapshot(snapshot);
  await cli.out.value({ restored: snapshot }, "");
}

export async function deleteSnapshots(cli: Cli, key: string, snapshots: string[]): Promise<void> {
  const vm = await cli.vm(key);
  for (const id of snapshots) await vm.deleteSnapshot(id);
  await cli.out.value({ deleted: snapshots }, "");
}

const LETTERS = { added: "A", modified: "M", deleted: "D", mode: "T" } as const;

/** Lists paths that changed since a snapshot, up to now or up to a later snapshot. */
export async function diff(cli: Cli, key: string, snapshot?: string, later?: string): Promise<void> {
  const vm = await cli.vm(key);
  const changes =
    snapshot !== undefined && later !== undefined
      ? await vm.diffSnapshots(snapshot, later)
      : await vm.diff(...(snapshot === undefined ? [] : [snapshot]));
  await cli.out.table(changes, [
    { title: "CHANGE", of: ({ change }) => LETTERS[change] },
    {
      title: "SIZE",
      of: ({ type, size }) => (type === "file" ? shownBytes(size) : undefined),
      isNumber: true,
    },
    { title: "PATH", of: ({ path, type }) => path + (type === "directory" ? "/" : "") },
  ]);
}

/** Puts paths back as they were in a snapshot. A path that is not absolute begins where commands start. */
export async function undo(
  cli: Cli,
  key: string,
  paths: string[],
  { snapshot }: { snapshot?: string },
): Promise<void> {
  const places = paths.map((path) => needPlace(key, path).path);
  const results = await (await cli.vm(key)).undo(places, ...(snapshot === undefined ? [] : [snapshot]));
  await cli.out.table(results, [
    { title: "PATH", of: ({ path }) => path },
    { title: "RESTORED", of: ({ restored }) => restored, isNumber: true },
    { title: "ERROR", of: ({ error }) => error },
  ]);
  if (results.some(({ error }) => error !== undefined)) process.exitCode = EXIT.partly;
}
