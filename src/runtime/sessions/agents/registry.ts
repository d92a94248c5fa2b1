import { existsSync } from "node:fs";
import { AgentVmError, unknownAgent } from "../../../api/errors.ts";
import type { AgentType } from "../../../api/methods/session-types.ts";
import type { Provision } from "../../sandbox/provision.ts";
import type { Agent, AgentDefinition } from "./agent.ts";
import { BUILT_IN_AGENTS } from "./builtin.ts";
import { mountPoint, nearestFolder, PackageFolder, realFolder } from "./locate.ts";
import type { AgentsOption, OwnAgentOption } from "./options.ts";

/** Folder of the host with the packages of a built-in agent. */
interface AgentFolder {
  folder: string | undefined;
  /** Reason to report if there is no folder. */
  missing: string;
}

/** The agents that a VM can start. */
export interface Agents {
  /** @throws AgentVmError `unknown_agent_type`; `agent_not_installed` */
  find(agentType: string): Agent;
  list(): AgentType[];
}

/**
 * The agents of one vmActor(). The registry finds their folders once, when the first VM boots: VMs do not mount a
 * package that is installed later. It reads the content of a folder on each call.
 */
export class AgentRegistry implements Agents {
  readonly #options: AgentsOption;
  #found: Map<string, AgentFolder> | undefined;

  constructor(options: AgentsOption) {
    this.#options = options;
  }

  /** Mounts the folders of installed agents into VMs. A VM boots without a folder that has gone since. */
  get provision(): Provision {
    const packages = [...this.#folders].flatMap(([name, { folder }]) =>
      folder === undefined ? [] : [{ hostPath: folder, path: mountPoint(name) }],
    );
    const own = Object.values(this.#options).flatMap((option) => ("command" in option ? option.mounts : []));
    const all = [...packages, ...own.map(({ from, to }) => ({ hostPath: from, path: to }))];
    return { mounts: all.map((mount) => ({ ...mount, optional: true })) };
  }

  /** Returns every agent, built-in ones first, whether it is installed or not. */
  list(): AgentType[] {
    const builtIn = BUILT_IN_AGENTS.filter(({ name }) => this.#own(name) === undefined).map((definition) => {
      const { name: id, title } = definition;
      const state = this.#inspect(definition);
      return "version" in state
        ? { id, title, installed: true, version: state.version, reason: null }
        : {
            id,
            title,
            installed: false,
            version: null,
            reason: `${state.missing}; ${howToInstall(definition)}`,
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
   * Finds an agent to start.
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
    if (definition === undefined) {
      throw unknownAgent(
        name,
        this.list().map(({ id }) => id),
      );
    }
    const state = this.#inspect(definition);
    if ("missing" in state) throw notInstalled(name, state.missing, definition);
    const { installation } = state;
    return { ...definition, launch: (request) => definition.launch(installation, request) };
  }

  #own(name: string): OwnAgentOption | undefined {
    const option = Object.hasOwn(this.#options, name) ? this.#options[name] : undefined;
    return option !== undefined && "command" in option ? option : undefined;
  }

  #inspect(definition: AgentDefinition) {
    const located = this.#folders.get(definition.name);
    if (located?.folder === undefined) return { missing: located?.missing ?? "" };
    const installation = new PackageFolder(located.folder, mountPoint(definition.name));
    const state = installation.inspect(definition);
    return "missing" in state ? state : { ...state, installation };
  }

  get #folders(): Map<string, AgentFolder> {
    this.#found ??= new Map(
      BUILT_IN_AGENTS.filter(({ name }) => this.#own(name) === undefined).map((definition) => [
        definition.name,
        locate(definition, this.#options[definition.name]),
      ]),
    );
    return this.#found;
  }
}

function locate({ packages }: AgentDefinition, option: AgentsOption[string] | undefined): AgentFolder {
  const [{ name }] = packages;
  if (option !== undefined && "from" in option) {
    return {
      folder: realFolder(option.from),
      missing: `the folder ${option.from} did not exist when the first VM booted`,
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
  return missing && `${missing.from} does not exist`;
}

/** Command that installs an agent at its tested versions. */
function howToInstall({ packages }: AgentDefinition): string {
  return `npm install ${packages.map(({ name, version }) => `${name}@${version}`).join(" ")}`;
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
