import type { VmInput, VmListEntry, VmListOptions } from "../../client/index.ts";
import type { Cli } from "../cli.ts";
import { keyText, needPlace, parseKey, parsePlace } from "../key.ts";
import { shownBytes, shownDuration, shownMemory, shownPairs, shownTime, shownUse } from "../shown.ts";
import { confirm } from "../terminal/ask.ts";
import { type ListFilesOptions, listFiles } from "./list-files.ts";

interface ListOptions extends ListFilesOptions {
  prefix?: string;
  label?: Record<string, string>;
  state?: "awake" | "booting" | "sleeping";
  quiet?: boolean;
}

/** VMs that one request asks for. */
const PAGE = 1000;

/** Lists VMs, or with a key the files of one. */
export async function ls(
  cli: Cli,
  key: string | undefined,
  path: string | undefined,
  options: ListOptions,
): Promise<void> {
  if (key !== undefined)
    return await listFiles(
      cli,
      (path === undefined ? parsePlace(key) : undefined) ?? needPlace(key, path ?? ""),
      options,
    );
  const vms = await allVms(cli, options);
  if (options.quiet) {
    await cli.out.table(
      vms,
      [{ title: "KEY", of: ({ key }) => keyText(key) }],
      vms.map((vm) => vm.key),
    );
    return;
  }
  await cli.out.table(vms, [
    { title: "KEY", of: ({ key }) => keyText(key) },
    { title: "STATE", of: ({ state }) => state },
    { title: "PROCESSES", of: ({ processes }) => processes, isNumber: true },
    { title: "STORED", of: ({ storedBytes }) => shownBytes(storedBytes), isNumber: true },
    { title: "USED", of: ({ lastUsedAt }) => shownTime(lastUsedAt) },
    { title: "LABELS", of: ({ labels }) => shownPairs(labels) },
  ]);
}

async function allVms(cli: Cli, { prefix, label, state }: ListOptions): Promise<VmListEntry[]> {
  const { vm } = await cli.client();
  const options: VmListOptions = {
    limit: PAGE,
    prefix: prefix === undefined ? undefined : parseKey(prefix),
    labels: label,
    state,
  };
  const vms: VmListEntry[] = [];
  do {
    const page = await vm.list(options);
    vms.push(...page.vms);
    options.cursor = page.cursor ?? undefined;
  } while (options.cursor !== undefined);
  return vms;
}

interface CreateOptions {
  label?: Record<string, string>;
  env?: Record<string, string>;
  memory?: number;
  cpus?: number;
  disk?: number;
  processes?: number;
  outbound?: string[];
  rootFilesystem?: string;
  destroyAfter?: number;
  ifMissing?: boolean;
}

/** Creates a VM, and boots it. */
export async function create(cli: Cli, key: string, options: CreateOptions): Promise<void> {
  const { vm } = await cli.client();
  const parts = parseKey(key);
  const input = inputOf(options);
  const handle = options.ifMissing
    ? vm.getOrCreate(parts, { createWithInput: input })
    : await vm.create(parts, { input });
  const actorId = await handle.resolve();
  await cli.out.value({ key: parts, actorId }, keyText(parts));
}

function inputOf(options: CreateOptions): VmInput {
  const { label, env, memory, cpus, disk, processes, outbound, rootFilesystem, destroyAfter } = options;
  return {
    limits: { memoryBytes: memory, cpus, filesystemBytes: disk, processes },
    labels: label,
    env,
    network: outbound && { outbound: policyOf(outbound) },
    rootFilesystem,
    destroyAfterMs: destroyAfter,
  };
}

/** Reads an outbound policy: `all`, `none`, or hosts to allow. */
export function policyOf(words: readonly string[]): "all" | "none" | { allow: string[] } {
  const [only] = words;
  return words.length === 1 && (only === "all" || only === "none") ? only : { allow: [...words] };
}

/** Prints the state of a VM, what it uses of its limits, and what it has used since its creation. */
export async function stats(cli: Cli, key: string): Promise<void> {
  const vm = await cli.vm(key);
  const [status, usage] = await Promise.all([vm.status(), vm.usage()]);
  const { memory, disk, files, processes, cpu } = status;
  const count = (amount: number | null) => (amount === null ? undefined : String(amount));
  await cli.out.facts({ ...status, usage }, [
    ["state", status.state],
    ["uptime", shownDuration(status.uptimeMs)],
    ["boots", status.generation],
    ["memory", shownMemory(memory)],
    ["cpu", shownUse(shownDuration(cpu.used), cpu.cpus === null ? undefined : `${cpu.cpus} CPUs`)],
    ["processes", shownUse(count(processes.used), count(processes.limit))],
    ["disk", shownUse(shownBytes(disk.used), shownBytes(disk.limit))],
    ["files", shownUse(count(files.used), count(files.limit))],
    ["sessions", status.sessions],
    ["shells", status.shells],
    ["labels", shownPairs(status.labels) || "-"],
    ["awake in all", shownDuration(usage.awakeMs)],
    ["cpu in all", shownDuration(usage.cpuMs)],
    ["network", `${shownBytes(usage.bytesIn)} in, ${shownBytes(usage.bytesOut)} out`],
  ]);
}

/** Copies a VM with its files. */
export async function fork(
  cli: Cli,
  key: string,
  newKey: string,
  { snapshot }: { snapshot?: string },
): Promise<void> {
  const made = await (await cli.vm(key)).fork(parseKey(newKey), snapshot === undefined ? {} : { snapshot });
  await cli.out.value(made, keyText(made.key));
}

/** Destroys a VM, or deletes a path in it. */
export async function rm(
  cli: Cli,
  name: string,
  { yes, recursive }: { yes?: boolean; recursive?: boolean },
): Promise<void> {
  const place = parsePlace(name);
  if (place !== undefined) {
    await (await cli.vm(place.key)).delete(place.path, { recursive: recursive ?? false });
    return await cli.out.value({ deleted: place.path }, "");
  }
  const key = parseKey(name);
  const vm = await cli.vm(key);
  if (!yes && !(await confirm(`Destroy the VM ${keyText(key)} with all its files?`, "--yes"))) {
    process.exitCode = 1;
    return;
  }
  await vm.destroy();
  await cli.out.value({ destroyed: key }, "");
}
