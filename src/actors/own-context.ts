import { AgentVmError } from "../api/errors.ts";
import type { Grant } from "../http/grant.ts";
import type { VmConnectionState, VmContext, VmState, VmVars } from "./context.ts";

/** The parts of a context of RivetKit's that contexts of a server's own code are made of. Some contexts lack some. */
interface RawContext {
  readonly state: VmState;
}

/** A connection, as RivetKit has it. */
export interface RawConnection {
  readonly id: string;
  readonly state: VmConnectionState;
}

interface Member {
  get(): unknown;
  set?(value: unknown): void;
}

type Members = Record<PropertyKey, Member>;

/** Connections of the server's own code, each as long as RivetKit's: code may compare them, and RivetKit's have no place for them. */
const connections = new WeakMap<object, object>();

/**
 * Makes the context of a server's own code out of a context of RivetKit's. `state`, `vars` and the state of connections are
 * the server's own. The state and the storage of the VM are out of reach.
 *
 * @param vars variables of the awake actor, also while it starts
 * @param caller rights and identity of the client that calls. @default none
 */
export function ownContext(c: object, vars: VmVars, caller: Partial<Grant> = {}): object {
  const raw = c as RawContext;
  const { own } = vars;
  return withMembers(c, {
    state: ownState(raw),
    vars: {
      get: () => own.vars,
      set: (value) => {
        own.vars = value;
      },
    },
    vm: { get: () => own.host },
    log: { get: () => own.log },
    identity: { get: () => caller.identity },
    may: { get: () => caller.may ?? [] },
    conn: { get: () => ownConnection((c as VmContext).conn as unknown as RawConnection) },
    conns: { get: () => ownConnections((c as VmContext).conns) },
    destroy: { get: () => () => own.destroy() },
    kv: { get: () => refuse("kv") },
    db: { get: () => refuse("db") },
  });
}

/** Makes the connection of a server's own code out of one of RivetKit's. */
export function ownConnection(connection: RawConnection): object {
  const known = connections.get(connection);
  if (known !== undefined) return known;
  const made = withMembers(connection, { state: ownState(connection) });
  connections.set(connection, made);
  return made;
}

/** The state that a server's own code keeps in the state of an actor or of a connection. */
export function ownState(holder: { readonly state: { user?: { value: unknown } } }): Member {
  return {
    get: () => holder.state.user?.value,
    set: (value) => {
      holder.state.user = { value };
    },
  };
}

/** Whether a connection is one of a client, and not of a preview. */
export function isClients({ state }: RawConnection): boolean {
  return state.user !== undefined;
}

function ownConnections(all: ReadonlyMap<string, unknown>): Map<string, object> {
  const clients = [...all].filter(([, connection]) => isClients(connection as RawConnection));
  return new Map(clients.map(([id, connection]) => [id, ownConnection(connection as RawConnection)]));
}

function refuse(member: string): never {
  throw new AgentVmError("not_supported", `c.${member} belongs to the VM. Keep your own values in c.state`, {
    hint: "c.state survives sleep.",
  });
}

/** Lays members over an object of a class with private fields. */
function withMembers(target: object, members: Members): object {
  return new Proxy(target, {
    get(inner, name) {
      const member = Object.hasOwn(members, name) ? members[name] : undefined;
      if (member !== undefined) return member.get();
      const value: unknown = Reflect.get(inner, name, inner);
      return typeof value === "function" ? value.bind(inner) : value;
    },
    set(inner, name, value) {
      const member = Object.hasOwn(members, name) ? members[name] : undefined;
      if (member === undefined) return Reflect.set(inner, name, value, inner);
      if (member.set === undefined) return false;
      member.set(value);
      return true;
    },
  });
}
