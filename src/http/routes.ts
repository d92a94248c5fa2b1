import type { Server } from "node:http";
import type { VmChoices } from "../api/vm-input.ts";
import type { VmDirectory } from "../directory/vm-directory.ts";
import type { Health } from "../monitoring/health.ts";
import type { Metrics } from "../monitoring/metrics.ts";
import type { Monitor } from "../monitoring/monitor.ts";
import type { AccessPolicy } from "./access.ts";
import type { AccessControl, Visitor } from "./access-control.ts";
import type { VisitedActors } from "./actor-visits.ts";
import { bodyRoutes } from "./bodies/routes.ts";
import { consoleRoutes } from "./console/routes.ts";
import type { Grant, VmName } from "./grant.ts";
import { type Admit, HttpGate, type Route } from "./http-gate.ts";
import { mcpRoutes } from "./mcp/routes.ts";
import { McpSessions } from "./mcp/sessions.ts";
import { drainRoute, healthRoutes, metricsRoute } from "./operations.ts";
import { PreviewGate } from "./preview-gate.ts";
import type { Strangers } from "./strangers.ts";
import { tokenMethodOf, tokenRoutes } from "./tokens/routes.ts";
import { TunnelGate } from "./tunnels/tunnel-gate.ts";
import type { Tunnels } from "./tunnels/tunnels.ts";
import type { VmBinding } from "./vm-binding.ts";
import { vmChoicesRoute } from "./vm-choices.ts";
import { vmListRoute } from "./vm-list.ts";

/** Parts of the server that the operator's routes ask. */
interface OperatorDeps {
  access: AccessControl;
  monitor: Monitor;
  metrics: Metrics;
  vms: readonly VmBinding[];
  /** The VMs of the server; `undefined` before it has a data folder. */
  directory(): VmDirectory | undefined;
}

/** Makes the routes that a server has behind a Rivet Engine too: metrics, shutdown and tokens. */
export function operatorRoutes({
  access,
  monitor,
  metrics,
  vms,
  directory,
}: OperatorDeps): Record<string, Route> {
  return {
    "GET /metrics": metricsRoute(
      metrics,
      () => directory()?.tally(),
      () => vms.map(({ poolTally }) => poolTally()),
    ),
    "POST /drain": drainRoute(),
    ...tokenRoutes(
      () => access.tokens,
      (grant, token, call) =>
        monitor.called({ ...(token !== undefined && { token }) }, { who: access.whoIs(grant), ...call }),
    ),
  };
}

interface RouteDeps {
  access: AccessControl;
  policy: AccessPolicy;
  admit: Admit;
  /** URL under which the server reaches itself. */
  own: string;
  actors: VisitedActors;
  /** The actor names of VMs. */
  vmNames: readonly string[];
  /** Finds a VM of the server. */
  vmOf(actorId: string): VmName | undefined;
  visitor(grant: Grant): Visitor;
  /** Lists the VMs; `undefined` if the server does not know them. */
  list(): Pick<VmDirectory, "list"> | undefined;
  /** Options that clients may choose for a new VM, by the actor name of VMs. */
  choices: ReadonlyMap<string, VmChoices>;
  tunnels: Tunnels;
  health: Health;
  monitor: Monitor;
  operator: Record<string, Route>;
  hasConsole: boolean;
}

interface GuardedRoutes {
  /** Puts the access policy and all routes in front of an HTTP server. */
  guard(server: Server, strangers: Strangers): void;
  close(): Promise<void>;
}

/** Makes all routes of a server that does not serve through a Rivet Engine alone. */
export function serverRoutes({ access, actors, admit, monitor, ...parts }: RouteDeps): GuardedRoutes {
  const { vmNames } = parts;
  const isVm = (name: string) => vmNames.includes(name);
  const previews = new PreviewGate({ policy: parts.policy, isVm, ...actors });
  const mcp = new McpSessions(parts.own, access);
  const browser = parts.hasConsole ? consoleRoutes(access, vmNames) : undefined;
  const routes = {
    ...browser?.guarded,
    "GET /vms/options": vmChoicesRoute(parts.choices),
    "GET /vms": vmListRoute(parts.list, vmNames),
    ...parts.operator,
    ...mcpRoutes(mcp, vmNames),
  };
  return {
    guard(server, strangers) {
      new HttpGate(admit, previews, routes, {
        openRoutes: healthRoutes(parts.health),
        ...(browser && { openRoute: browser.open }),
        routeOf: bodyRoutes({ access, isVm, visitor: parts.visitor, ...actors }),
        strangers,
        tunnels: new TunnelGate({
          ...{ access, tunnels: parts.tunnels, actors, admit, vmOf: parts.vmOf },
          onRefused: (code) => monitor.refused(code, "tunnel"),
        }),
        onRefused: ({ code }, route) => monitor.refused(code, tokenMethodOf(route)),
      }).guard(server);
    },
    close: () => mcp.close(),
  };
}
