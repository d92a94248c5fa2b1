import { existsSync } from "node:fs";
import { AgentVmError } from "../../../api/errors.ts";
import type { AgentType } from "../../../api/types.ts";
import type { SoftwareMount, VmOptions } from "../../options.ts";
import type { Agent, AgentDefinition } from "./agent.ts";
import type { Agents } from "./agents.ts";
import { BUILT_IN_AGENTS } from "./builtin.ts";
import { mountPoint, nearestFolder, PackageFolder, realFolder } from "./locate.ts";
import type { AgentsOption, OwnAgentOption } from "./options.ts";

/** A built-in agent and the folder of the host that VMs have of it. */
interface Place {
  folder: string | undefined;
  /** Why there is none. */
  missing: string;
}

const registries = new WeakMap<VmOptions, AgentRegistry>();

/** The agents of an actor's options: one registry for whoever boots its VMs and whoever starts agents in them. */
export function agentsOf(options: VmOptions): AgentRegistry {
  let registry = registries.get(options);
  if (registry === undefined) {
    registry = new AgentRegistry(options.agents);
    registries.set(options, registry);
  }
  return registry;
}

/**
 * The agents that VMs of one actor have. Folders are looked for once, when the first VM boots: what VMs have not got
 * mounted they do not see, whatever is installed later. What is in a folder is looked at anew each time.
 */
export class AgentRegistry implements Agents {
  readonly #options: AgentsOption;
  #found: Map<string, Place> | undefined;

  constructor(options: AgentsOption) {
    this.#options = options;
  }

  /** What of the host VMs see for their agents. */
  get mounts(): SoftwareMount[] {
    const packages = [...this.#places].flatMap(([name, { folder }]) =>
      folder === undefined ? [] : [{ hostPath: folder, path: mountPoint(name) }],
    );
    const own = Object.values(this.#options).flatMap((option) => ("command" in option ? option.mounts : []));
    return [...packages, ...own.map(({ from, to }) => ({ hostPath: from, path: to }))];
  }

  /** Every agent that is known by name, the built-in ones first. */
  list(): AgentType[] {
    const builtIn = BUILT_IN_AGENTS.filter(({ name }) => this.#own(name) === undefined).map((definition) => {
      const { name: id, title } = definition;
      const look = this.#look(definition);
      return "version" in look
        ? { id, title, installed: true, version: look.version, reason: null }
        : {
            id,
            title,
            installed: false,
            version: null,
            reason: `${look.missing}; ${howToInstall(definition)}`,
          };
    });
    const own = Object.entries(this.#options).flatMap(([id, option]) => {
      if (!("command" in option)) return [];
      const reason = missingMount(option) ?? null;
      return [{ id, title: id, installed: reason === null, version: null, reason }];
    });
    return [...builtIn, ...own];
  }

  /**
   * An agent to start.
   *
   * @throws AgentVmError `unknown_agent_type`, or `agent_not_installed` with the command that installs it.
   */
  find(name: string): Agent {
    const own = this.#own(name);
    if (own !== undefined) {
      const missing = missingMount(own);
      if (missing !== undefined) throw notInstalled(name, missing);
      return ownAgent(name, own);
    }
    const definition = BUILT_IN_AGENTS.find((agent) => agent.name === name);
    if (definition === undefined) throw unknownAgent(name, this.list());
    const look = this.#look(definition);
    if ("missing" in look) throw notInstalled(name, look.missing, definition);
    const { installation } = look;
    return { ...definition, launch: (request) => definition.launch(installation, request) };
  }

  #own(name: string): OwnAgentOption | undefined {
    const option = Object.hasOwn(this.#options, name) ? this.#options[name] : undefined;
    return option !== undefined && "command" in option ? option : undefined;
  }

  #look(definition: AgentDefinition): { version: string; installation: PackageFolder } | { missing: string } {
    const place = this.#places.get(definition.name);
    if (place?.folder === undefined) return { missing: place?.missing ?? "" };
    const installation = new PackageFolder(place.folder, mountPoint(definition.name));
    const look = installation.look(definition);
    return "missing" in look ? look : { ...look, installation };
  }

  get #places(): Map<string, Place> {
    this.#found ??= new Map(
      BUILT_IN_AGENTS.filter(({ name }) => this.#own(name) === undefined).map((definition) => [
        definition.name,
        place(definition, this.#options[definition.name]),
      ]),
    );
    return this.#found;
  }
}

function place({ packages }: AgentDefinition, option: AgentsOption[string] | undefined): Place {
  const [{ name }] = packages;
  if (option !== undefined && "from" in option) {
    return {
      folder: realFolder(option.from),
      missing: `there was no folder ${option.from} when the first VM booted`,
    };
  }
  const nearest = nearestFolder(name);
  const missing = `the package ${name} is not in the server's node_modules`;
  return { folder: nearest && realFolder(nearest), missing };
}

function ownAgent(name: string, { command, args, env }: OwnAgentOption): Agent {
  return {
    name,
    title: name,
    instructions: "preamble",
    launch: (request) => ({ command, args: [...args], env: { ...env, ...request.env }, files: [] }),
  };
}

function missingMount({ mounts }: OwnAgentOption): string | undefined {
  const missing = mounts.find(({ from }) => !existsSync(from));
  return missing && `there is no ${missing.from}`;
}

/** The command that installs an agent at the versions that have been tried. */
export function howToInstall({ packages }: AgentDefinition): string {
  return `npm install ${packages.map(({ name, version }) => `${name}@${version}`).join(" ")}`;
}

function unknownAgent(name: string, known: readonly AgentType[]): AgentVmError {
  const ids = known.map(({ id }) => id);
  return new AgentVmError(
    "unknown_agent_type",
    `Unknown agent type: ${name.slice(0, 80)} (known: ${ids.join(", ")})`,
    { agentType: name.slice(0, 80), known: ids },
  );
}

function notInstalled(name: string, missing: string, definition?: AgentDefinition): AgentVmError {
  const install = definition && howToInstall(definition);
  return new AgentVmError(
    "agent_not_installed",
    `The agent ${name} is not installed: ${missing}${install === undefined ? "" : `. Install it with: ${install}`}`,
    {
      agentType: name,
      ...(definition && { packages: definition.packages.map((wanted) => wanted.name), install }),
    },
  );
}
