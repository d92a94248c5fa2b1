import { posix } from "node:path";
import { AgentVmError } from "../../api/errors.ts";
import type { VmHandle } from "../../client/index.ts";
import { orNull } from "../shared/errors.ts";
import { listEntries, statOrNull } from "../shared/file-kind.ts";
import { Workplace } from "../shared/workplace.ts";
import { Commands, checkUser, shown } from "./commands.ts";
import { applyManifest, putEntry } from "./manifest.ts";
import type {
  ExecArgs,
  ExecOutcome,
  ExposedPort,
  ManifestEntry,
  ManifestLike,
  SandboxEntry,
  VmEditor,
  VmSandboxState,
  WriteStdinArgs,
} from "./sandbox-types.ts";

/** Longest life of a preview URL. @unit s */
const PREVIEW_SECONDS = 86_400;

/** Exit code of tar if files have changed while it read them. The archive is whole. */
const TAR_FILES_CHANGED = 1;

/** Parts of a session that come from the SDK. */
export interface SandboxSessionDeps<Manifest> {
  /** `applyDiff` of the SDK. */
  applyDiff(input: string, diff: string, mode?: "default" | "create"): string;
  /** Adds the entries and variables of a manifest to another. */
  merge(manifest: Manifest, added: Manifest): Manifest;
}

/** A VM as a session of the OpenAI Agents SDK. Paths are absolute in the VM, or below the workspace. */
export class VmSandboxSession<Manifest extends ManifestLike> {
  /** State of the session. */
  readonly state: VmSandboxState<Manifest>;
  readonly #vm: VmHandle;
  readonly #parts: SandboxSessionDeps<Manifest>;
  readonly #place: Workplace;
  readonly #commands: Commands;

  /** @param state state of a session that is new or resumed */
  constructor(vm: VmHandle, state: VmSandboxState<Manifest>, parts: SandboxSessionDeps<Manifest>) {
    this.#vm = vm;
    this.state = state;
    this.#parts = parts;
    this.#place = new Workplace(vm, state.manifest.root);
    this.#commands = new Commands(vm);
  }

  /** Runs a command. It goes on under a number if it takes longer than `yieldTimeMs`. */
  async exec(args: ExecArgs): Promise<ExecOutcome> {
    checkUser(args.runAs);
    return await this.#commands.exec(
      args,
      await this.#place.directory(args.workdir),
      this.state.environment ?? {},
    );
  }

  /** Runs a command and returns text for a model. */
  async execCommand(args: ExecArgs): Promise<string> {
    return shown(await this.exec(args));
  }

  /** Writes to a command that goes on, and returns its output as text for a model. */
  async writeStdin(args: WriteStdinArgs): Promise<string> {
    const outcome = await this.#commands.write(args);
    if (outcome !== undefined) return shown(outcome);
    const output = `write_stdin failed: session not found: ${args.sessionId}`;
    return shown({ output, wallTimeSeconds: 0, exitCode: 1 });
  }

  /** Commands may have a terminal. */
  supportsPty(): boolean {
    return true;
  }

  /** Reads a file, or its first `maxBytes` bytes. */
  async readFile({
    path,
    runAs,
    maxBytes,
  }: {
    path: string;
    runAs?: string;
    maxBytes?: number;
  }): Promise<Uint8Array> {
    checkUser(runAs);
    const content = await this.#vm.readFile(this.#place.resolve(path));
    return maxBytes === undefined ? content : content.subarray(0, maxBytes);
  }

  /** Lists a directory. */
  async listDir({ path, runAs }: { path: string; runAs?: string }): Promise<SandboxEntry[]> {
    checkUser(runAs);
    const directory = this.#place.resolve(path);
    const below = posix.relative(this.#place.path, directory);
    const shownDirectory = below.startsWith("..") ? directory : below;
    return (await listEntries(this.#vm, directory)).map(({ name, kind }) => ({
      name,
      path: posix.join(shownDirectory, name),
      type: kind === "directory" ? "dir" : kind === "file" ? "file" : "other",
    }));
  }

  /** Returns whether a path exists. */
  async pathExists(path: string, runAs?: string): Promise<boolean> {
    checkUser(runAs);
    return await this.#vm.exists(this.#place.resolve(path));
  }

  /** Returns whether a path is a directory. */
  async directoryExists(path: string, runAs?: string): Promise<boolean> {
    checkUser(runAs);
    return (await statOrNull(this.#vm, this.#place.resolve(path)))?.isDirectory ?? false;
  }

  /** Makes an editor for patches of a model. */
  createEditor(runAs?: string): VmEditor {
    checkUser(runAs);
    const { applyDiff } = this.#parts;
    const at = (path: string) => this.#place.resolve(path);
    return {
      createFile: async ({ path, diff }) => {
        if (await this.#vm.exists(at(path)))
          throw new AgentVmError("EEXIST", `EEXIST: file already exists, open '${path}'`);
        await this.#vm.mkdir(posix.dirname(at(path)), { recursive: true });
        await this.#vm.writeFile(at(path), applyDiff("", diff, "create"));
      },
      updateFile: async ({ path, diff, moveTo }) => {
        const text = new TextDecoder().decode(await this.#vm.readFile(at(path)));
        const target = at(moveTo ?? path);
        const changed = applyDiff(text, diff);
        await this.#vm.mkdir(posix.dirname(target), { recursive: true });
        await this.#vm.writeFile(target, changed);
        if (target !== at(path)) await this.#vm.deleteFile(at(path));
      },
      deleteFile: async ({ path }) => await this.#vm.deleteFile(at(path)),
    };
  }

  /** Adds the entries and variables of a manifest to the workspace. */
  async applyManifest(manifest: Manifest, runAs?: string): Promise<void> {
    checkUser(runAs);
    await applyManifest(this.#place, manifest);
    this.state.environment = { ...this.state.environment, ...(await manifest.resolveEnvironment()) };
    this.state.manifest = this.#parts.merge(this.state.manifest, manifest);
  }

  /** Adds one entry to the workspace. */
  async materializeEntry({
    path,
    entry,
    runAs,
  }: {
    path: string;
    entry: ManifestEntry;
    runAs?: string;
  }): Promise<void> {
    checkUser(runAs);
    await putEntry(this.#place, path, entry);
  }

  /** Returns the workspace as a tar archive, without its ephemeral paths. */
  async persistWorkspace(): Promise<Uint8Array> {
    const excluded = [...this.state.manifest.ephemeralPersistencePaths()].map(
      (path) => `--exclude=./${path}`,
    );
    const archive = `/tmp/.workspace-${crypto.randomUUID()}.tar`;
    const root = await this.#place.directory();
    try {
      const args = ["-C", root, ...excluded, "-cf", archive, "."];
      const { exitCode, stderr } = await this.#vm.execArgv("tar", args);
      if (exitCode > TAR_FILES_CHANGED)
        throw new Error(`The workspace could not be archived: ${stderr.trim()}`);
      return await this.#vm.readFile(archive);
    } finally {
      await orNull(this.#vm.deleteFile(archive));
    }
  }

  /** Puts the content of a tar archive into the workspace. @throws AgentVmError `invalid_archive` */
  async hydrateWorkspace(data: string | ArrayBuffer | Uint8Array): Promise<void> {
    const root = await this.#place.directory();
    const bytes =
      typeof data === "string"
        ? new TextEncoder().encode(data)
        : data instanceof Uint8Array
          ? data
          : new Uint8Array(data);
    await this.#vm.importTar(bytes, root);
  }

  /** Makes a preview of a port, for 24 hours. */
  async resolveExposedPort(port: number): Promise<ExposedPort> {
    const { url } = await this.#vm.createSignedPreviewUrl(port, PREVIEW_SECONDS);
    const { hostname: host, protocol, port: shownPort, href } = new URL(url);
    const tls = protocol === "https:";
    const endpoint = { host, port: Number(shownPort) || (tls ? 443 : 80), tls, url: href };
    this.state.exposedPorts = { ...this.state.exposedPorts, [String(port)]: endpoint };
    return endpoint;
  }

  /** Returns whether the VM is awake. Does not wake it. */
  async running(): Promise<boolean> {
    return (await this.#vm.status()).state === "awake";
  }

  /** Ends the commands that go on. */
  async stop(): Promise<void> {
    await this.#commands.stop();
  }

  /** Puts the VM to sleep, which keeps its files. */
  async shutdown(): Promise<void> {
    await this.stop();
    await this.#vm.sleep();
  }

  /** Destroys the VM with its files. */
  async delete(): Promise<void> {
    await this.#vm.destroy();
  }
}
