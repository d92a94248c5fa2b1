import { posix } from "node:path";
import { AgentVmError } from "../../api/errors.ts";
import type { NetworkPolicy, VmAccessor, VmHandle } from "../../client/index.ts";
import { isMissing } from "../shared/errors.ts";
import { unlessGone } from "../shared/gone.ts";
import { HOME } from "../shared/workplace.ts";
import type {
  EveHandle,
  EvePrepareContext,
  EveProvider,
  EveResourceTree,
  EveSandbox,
  EveVmKey,
} from "./eve-types.ts";
import { sandboxSession } from "./session.ts";

/** Options of `eveProvider`. */
export interface EveProviderOptions {
  /** First parts of the keys of the VMs. @default ["eve"] */
  keyPrefix?: readonly string[];
}

/** Options of `environment`. */
export interface EveEnvironmentOptions {
  /** Prepares the VM that all sessions are forks of, once for each version of the agent. @default not prepared */
  prepare?: (sandbox: EveSandbox) => Promise<void>;
  /** Names what `prepare` does. Change it with `prepare`, so that the VM is prepared again. @default "" */
  revision?: string;
  /** Variables of every command. @default {} */
  env?: Record<string, string>;
}

/** Options of `open`. */
export interface EveOpenOptions {
  /** Hosts outside that the VM of the session may reach. @default the server's policy */
  network?: NetworkPolicy;
}

const WORKSPACE = "/workspace";

/** Name of the snapshot that marks a prepared VM. */
const PREPARED = "prepared";

/** By this variable programs know that an agent runs them. */
const AGENT_ENV = { AI_AGENT: "eve" };

/**
 * Makes the VMs of a server the sandboxes of eve: the argument of its `defineSandboxProvider`. Each session has a VM of its own, a
 * fork of a VM with the agent's files.
 *
 * @param vms accessor of a client: `client.vm`
 * @param options keys of the VMs
 * @example
 * ```ts
 * import { defineSandbox } from "eve/sandbox";
 * import { defineSandboxProvider } from "eve/sandbox/provider";
 *
 * export const environment = defineSandboxProvider(eveProvider(createClient().vm)).environment();
 * export default defineSandbox(() => environment.open());
 * ```
 */
export function eveProvider(
  vms: VmAccessor,
  { keyPrefix = ["eve"] }: EveProviderOptions = {},
): EveProvider<EveEnvironmentOptions, EveOpenOptions> {
  return {
    name: "agent-vm",
    stateProtocolVersion: 1,
    environment: ({ prepare, revision = "", env = {} } = {}) => ({
      async prepare({ resources, sourceRevision, log }) {
        const parts = [sourceRevision, resources.workspace?.key, resources.skills?.key, revision];
        const key = [...keyPrefix, "prepared", await digestOf(parts)];
        const vm = vms.getOrCreate(key);
        if ((await vm.listSnapshots()).some(({ name }) => name === PREPARED)) return { key };
        log?.("preparing a VM");
        await vm.mkdir(WORKSPACE, { recursive: true });
        await seed(vm, resources);
        await prepare?.(sandboxOf(vm, env));
        await vm.createSnapshot(PREPARED);
        return { key };
      },
      async start({ session }, open, artifact) {
        const key = [...keyPrefix, "session", await digestOf([session.id, ...artifact.key])];
        try {
          await vms.get([...artifact.key]).fork(key);
        } catch (error) {
          // The session was started before.
          if (!(error instanceof AgentVmError && error.code === "duplicate_key")) throw error;
        }
        const vm = vms.get(key);
        if (open?.network !== undefined) await vm.setNetworkPolicy(open.network);
        return { handle: handleOf(vm, env), state: { key } };
      },
      async resume(_context, _artifact, { key }) {
        const vm = vms.get([...key]);
        await vm.status();
        return handleOf(vm, env);
      },
      async onSessionEnd(_context, _artifact, { key }: EveVmKey) {
        await unlessGone(vms.get([...key]).destroy());
      },
    }),
  };
}

/** Writes the files of an agent. */
async function seed(vm: VmHandle, { workspace, skills }: EvePrepareContext["resources"]): Promise<void> {
  const filesOf = ({ targetPath, files }: EveResourceTree) =>
    files.map(({ relativePath, content }) => ({
      path: posix.join(targetPath.replace(/^\$HOME(?=\/|$)/, HOME), relativePath),
      content,
    }));
  const files = [workspace, skills].flatMap((tree) => (tree === undefined ? [] : filesOf(tree)));
  const failed = files.length > 0 && (await vm.writeFiles(files)).find(({ success }) => !success);
  if (failed) throw new Error(`Cannot write ${failed.path}: ${failed.error}`);
}

function sandboxOf(vm: VmHandle, env: Record<string, string>): EveSandbox {
  const session = sandboxSession(vm, { workingDirectory: WORKSPACE });
  const withEnv = <Options extends { env?: Record<string, string> }>(options: Options) => ({
    ...options,
    env: { ...AGENT_ENV, ...env, ...options.env },
  });
  const resolvePath = (path: string) => posix.resolve(WORKSPACE, path);
  return {
    ...session,
    run: (options) => session.run(withEnv(options)),
    spawn: ((options: Parameters<typeof session.run>[0]) =>
      session.spawn(withEnv(options))) as typeof session.spawn,
    resolvePath,
    async removePath({ path, abortSignal, force = false, recursive = false }) {
      abortSignal?.throwIfAborted();
      try {
        await vm.delete(resolvePath(path), { recursive });
      } catch (error) {
        if (!(force && isMissing(error))) throw error;
      }
    },
  };
}

function handleOf(vm: VmHandle, env: Record<string, string>): EveHandle {
  return {
    sandbox: sandboxOf(vm, env),
    onRuntimeShutdown: async () => undefined,
    onSandboxDelete: () => unlessGone(vm.destroy()),
    onSandboxStop: () => unlessGone(vm.sleep()),
  };
}

/** A short name that stands for some values. */
async function digestOf(parts: readonly unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes))
    .toString("hex")
    .slice(0, 32);
}
