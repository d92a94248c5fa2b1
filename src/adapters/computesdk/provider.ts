import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import type { VmAccessor, VmHandle, VmListEntry } from "../../client/index.ts";
import { listEntries } from "../shared/file-kind.ts";
import { isGone, unlessGone } from "../shared/gone.ts";
import { portUrl } from "../shared/port-url.ts";
import { DROPPED_NOTE } from "../shared/text.ts";
import { HOME, Workplace } from "../shared/workplace.ts";
import type {
  ComputeCommandOptions,
  ComputeCommandResult,
  ComputeProviderConfig,
  ComputeSandbox,
  ComputeSnapshot,
} from "./provider-types.ts";

/** Options of `computeProvider`. */
export interface ComputeProviderOptions {
  /** First parts of the keys of the provider's VMs. @default ["compute"] */
  keyPrefix?: readonly string[];
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
}

const NAME = "agent-vm";

/** VMs that a list names. */
const MAX_LISTED = 10_000;

const PAGE = 1_000;

/**
 * Makes the VMs of a server a provider of ComputeSDK: the argument of its `defineProvider()`.
 *
 * @param vms accessor of a client: `client.vm`
 * @param options keys and base directory
 * @example
 * ```ts
 * const agentVm = defineProvider(computeProvider(client.vm));
 * const sandbox = await agentVm({}).sandbox.create();
 * ```
 */
export function computeProvider(
  vms: VmAccessor,
  options: ComputeProviderOptions = {},
): ComputeProviderConfig {
  const { keyPrefix = ["compute"], workingDirectory } = options;
  const base = posix.resolve("/", workingDirectory ?? HOME);
  const prefixOf = (kind: "sandbox" | "snapshot") => [...keyPrefix, kind];
  const keyOf = (kind: "sandbox" | "snapshot", id: string) => [...prefixOf(kind), id];
  const ids = new WeakMap<VmHandle, string>();
  const named = (sandboxId: string): ComputeSandbox => {
    const sandbox = vms.get(keyOf("sandbox", sandboxId));
    ids.set(sandbox, sandboxId);
    return { sandbox, sandboxId };
  };
  const list = (kind: "sandbox" | "snapshot") => listAll(vms, prefixOf(kind));
  const at = (path: string) => posix.resolve(base, path);

  const run = async (vm: VmHandle, command: string, request: ComputeCommandOptions = {}) => {
    const cwd = await new Workplace(vm, base).directory(request.cwd);
    return await runCommand(vm, command, { ...request, cwd });
  };

  return {
    name: NAME,
    methods: {
      sandbox: {
        async create(_config, { name = randomUUID(), snapshotId, envs, signal } = {}) {
          signal?.throwIfAborted();
          const key = keyOf("sandbox", name);
          if (snapshotId === undefined)
            await vms.getOrCreate(key, { createWithInput: { ...(envs && { env: envs }) } }).status();
          else await vms.get(keyOf("snapshot", snapshotId)).fork(key);
          return named(name);
        },
        async getById(_config, sandboxId) {
          const found = named(sandboxId);
          return (await isThere(found.sandbox)) ? found : null;
        },
        list: async () => (await list("sandbox")).map(({ key }) => named(key.at(-1) ?? "")),
        destroy: (_config, sandboxId) => unlessGone(vms.get(keyOf("sandbox", sandboxId)).destroy()),
        runCommand: run,
        streamCommand: run,
        async getInfo(vm) {
          const id = ids.get(vm) ?? "";
          const { state } = await vm.status();
          const [entry] = (await vms.list({ prefix: keyOf("sandbox", id), limit: 1 })).vms;
          return {
            id,
            provider: NAME,
            status: state === "sleeping" ? "stopped" : "running",
            createdAt: new Date(entry?.createdAt ?? 0),
            timeout: 0,
          };
        },
        async getUrl(vm, { port, protocol }) {
          const isWebSocket = protocol === "ws" || protocol === "wss";
          return (await portUrl(vm, port, isWebSocket ? "ws" : "http")).href;
        },
        filesystem: {
          readFile: async (vm, path) => new TextDecoder().decode(await vm.readFile(at(path))),
          writeFile: (vm, path, content) => vm.writeFile(at(path), content),
          mkdir: (vm, path) => vm.mkdir(at(path), { recursive: true }),
          readdir: async (vm, path) =>
            (await listEntries(vm, at(path))).map(({ name, kind, size }) => ({
              name,
              type: kind === "directory" ? kind : "file",
              size,
            })),
          exists: (vm, path) => vm.exists(at(path)),
          remove: (vm, path) => vm.delete(at(path), { recursive: true }),
        },
      },
      snapshot: {
        async create(_config, sandboxId, { name = "" } = {}) {
          const id = randomUUID();
          await vms.get(keyOf("sandbox", sandboxId)).fork(keyOf("snapshot", id));
          const vm = vms.get(keyOf("snapshot", id));
          await vm.setLabels({ sandbox: sandboxId, name });
          return snapshotOf(id, { createdAt: Date.now() }, { sandbox: sandboxId, name });
        },
        async list(_config, { sandboxId, limit = MAX_LISTED } = {}) {
          const kept = await list("snapshot");
          const own = kept.filter(({ labels }) => sandboxId === undefined || labels.sandbox === sandboxId);
          return own.slice(0, limit).map((entry) => snapshotOf(entry.key.at(-1) ?? "", entry, entry.labels));
        },
        delete: (_config, snapshotId) => unlessGone(vms.get(keyOf("snapshot", snapshotId)).destroy()),
      },
    },
  };
}

async function listAll(vms: VmAccessor, prefix: string[]): Promise<VmListEntry[]> {
  const found: VmListEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await vms.list({ prefix, limit: PAGE, cursor });
    found.push(...page.vms);
    cursor = page.cursor ?? undefined;
  } while (cursor !== undefined && found.length < MAX_LISTED);
  return found.slice(0, MAX_LISTED);
}

async function runCommand(
  vm: VmHandle,
  command: string,
  { cwd, env, timeout, background, onStdout, onStderr }: ComputeCommandOptions,
): Promise<ComputeCommandResult> {
  if (background) {
    await vm.spawn("bash", ["-c", command], { cwd, env });
    return { stdout: "", stderr: "", exitCode: 0, durationMs: 0 };
  }
  const result = await vm.run(command, { cwd, env, onStdout, onStderr, timeout });
  const { stdout, stderr, exitCode, durationMs, truncated } = result;
  return { stdout, stderr: truncated ? stderr + DROPPED_NOTE : stderr, exitCode, durationMs };
}

function snapshotOf(
  id: string,
  { createdAt }: { createdAt: number },
  metadata: Record<string, string>,
): ComputeSnapshot {
  return { id, provider: NAME, createdAt: new Date(createdAt), metadata };
}

async function isThere(vm: VmHandle): Promise<boolean> {
  try {
    await vm.status();
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
