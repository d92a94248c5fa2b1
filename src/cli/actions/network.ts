import process from "node:process";
import { MAX_PREVIEW_SECONDS } from "../../api/limits.ts";
import type { NetworkPolicyInfo, OutboundPolicy } from "../../api/methods/network.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { shownTime } from "../shown.ts";
import { interrupted } from "../terminal/interrupts.ts";
import { openUrl } from "../terminal/open-url.ts";
import { followConnection } from "./follow.ts";
import { policyOf } from "./vms.ts";

/** Makes a preview URL, prints it, and on a terminal opens it. */
export async function preview(
  cli: Cli,
  key: string,
  port: number,
  { expires, open }: { expires?: number; open?: boolean },
): Promise<void> {
  if (expires !== undefined && !(expires >= 1000 && expires <= 1000 * MAX_PREVIEW_SECONDS))
    throw new UsageError("Expected --expires to be from 1s to 24h");
  const vm = await cli.vm(key);
  const made = await vm.createSignedPreviewUrl(port, ...(expires === undefined ? [] : [expires / 1000]));
  await cli.out.value(made, made.url);
  if (open ?? (process.stdout.isTTY === true && !cli.out.json)) {
    await openUrl(made.url).catch((error: Error) => cli.out.warn(error.message));
  }
}

/** Carries connections into a VM until Ctrl-C. */
export async function tunnel(
  cli: Cli,
  key: string,
  port: number | undefined,
  { localPort, host, socket: socketPath }: { localPort?: number; host?: string; socket?: string },
): Promise<void> {
  if ((port === undefined) === (socketPath === undefined))
    throw new UsageError("Pass a port, or --socket with the path of a Unix socket");
  const vm = await cli.vm(key);
  const open = await vm.tunnel({
    ...(socketPath === undefined ? { port: port as number } : { socketPath }),
    localPort,
    host,
    onError: ({ message }) => cli.out.warn(message),
  });
  const address = open.host.includes(":") ? `[${open.host}]:${open.port}` : `${open.host}:${open.port}`;
  await cli.out.value({ host: open.host, port: open.port, key, to: socketPath ?? port }, address);
  cli.out.note(`Leads to ${socketPath ?? `port ${port}`} of ${key}. Ctrl-C ends.`);
  await interrupted(Promise.withResolvers<void>().promise);
  await open.close();
}

export async function listPreviews(cli: Cli, key: string): Promise<void> {
  await cli.out.table(await (await cli.vm(key)).listPreviews(), [
    { title: "PREVIEW", of: ({ id }) => id },
    { title: "NAME", of: ({ name = "" }) => name },
    { title: "PORT", of: ({ port }) => port, isNumber: true },
    { title: "CREATED", of: ({ createdAt }) => shownTime(createdAt) },
    { title: "EXPIRES", of: ({ expiresAt }) => shownTime(expiresAt) },
  ]);
}

export async function closePreviews(cli: Cli, key: string, ids: string[]): Promise<void> {
  const vm = await cli.vm(key);
  for (const id of ids) await vm.expireSignedPreviewUrl(id);
  await cli.out.value({ closed: ids }, "");
}

/** Prints the outbound policy of a VM, or replaces it. */
export async function policy(
  cli: Cli,
  key: string,
  words: string[],
  { deny }: { deny?: string[] },
): Promise<void> {
  const vm = await cli.vm(key);
  if (words.length === 0 && deny !== undefined) throw new UsageError("Pass the hosts to allow too");
  if (words.length > 0) {
    const outbound = policyOf(words);
    if (typeof outbound === "string" && deny !== undefined)
      throw new UsageError(`The policy ${outbound} has no exceptions`);
    await vm.setNetworkPolicy({ outbound: typeof outbound === "string" ? outbound : { ...outbound, deny } });
  }
  await printPolicy(cli, await vm.getNetworkPolicy());
}

/** Adds hosts to the hosts that the programs of a VM may reach. */
export async function allow(cli: Cli, key: string, rules: string[]): Promise<void> {
  const vm = await cli.vm(key);
  const { outbound } = await vm.getNetworkPolicy();
  if (outbound !== "all") await vm.setNetworkPolicy({ outbound: withRules(outbound, rules) });
  await printPolicy(cli, await vm.getNetworkPolicy());
}

function withRules(outbound: Exclude<OutboundPolicy, "all">, rules: readonly string[]): OutboundPolicy {
  if (outbound === "none") return { allow: [...rules] };
  return { ...outbound, allow: [...new Set([...outbound.allow, ...rules])] };
}

async function printPolicy(cli: Cli, info: NetworkPolicyInfo): Promise<void> {
  const { outbound, headers } = info;
  const rules =
    typeof outbound === "string"
      ? [{ rule: outbound, host: "" }]
      : [
          ...outbound.allow.map((host) => ({ rule: "allow", host })),
          ...(outbound.ask ?? []).map((host) => ({ rule: "ask", host })),
          ...(outbound.deny ?? []).map((host) => ({ rule: "deny", host })),
        ];
  const added = Object.entries(headers).map(([origin, names]) => ({
    rule: "headers",
    host: `${origin}: ${names.join(", ")}`,
  }));
  await cli.out.table(
    [...rules, ...added],
    [
      { title: "RULE", of: ({ rule }) => rule },
      { title: "HOST", of: ({ host }) => host },
    ],
    info,
  );
}

interface Denial {
  host: string;
  port: number;
  reason: string;
  pid?: number;
}

/** Prints connections that the policy has denied. With `--follow` also those to come, until Ctrl-C. */
export async function networkLog(cli: Cli, key: string, { follow }: { follow?: boolean }): Promise<void> {
  const vm = await cli.vm(key);
  if (!follow) {
    return await cli.out.table(await vm.getNetworkLog(), [
      { title: "TIME", of: ({ time }) => shownTime(time) },
      { title: "TIMES", of: ({ count }) => count, isNumber: true },
      { title: "HOST", of: ({ host, port }) => `${host}:${port}` },
      { title: "PID", of: ({ pid }) => pid, isNumber: true },
      { title: "REASON", of: ({ reason }) => reason },
    ]);
  }
  const connection = vm.connect();
  const line = followConnection(connection, () =>
    cli.out.warn("the line broke: denials meanwhile are in `agent-vm net log` only"),
  );
  const print = ({ host, port, reason, pid, time = Date.now() }: Denial & { time?: number }) => {
    const at = shownTime(time);
    void cli.out.value(
      { time, host, port, reason, pid },
      `${at} ${host}:${port} ${pid === undefined ? "" : `pid ${pid} `}${reason}`,
    );
  };
  // Denials during the request below may be in its answer too.
  const early: Denial[] = [];
  let isReady = false;
  connection.on("networkDenied", (event) => (isReady ? print(event) : early.push(event)));
  try {
    // The handle fails at once without a server.
    const log = await vm.getNetworkLog();
    for (const entry of log) print(entry);
    isReady = true;
    for (const event of early)
      if (!log.some(({ host, port }) => host === event.host && port === event.port)) print(event);
    cli.out.note("Following. Ctrl-C ends.");
    await line.untilInterrupted();
  } finally {
    line.stop();
  }
}

export async function ports(cli: Cli, key: string): Promise<void> {
  await cli.out.table(await (await cli.vm(key)).listPorts(), [
    { title: "PORT", of: ({ port }) => port, isNumber: true },
    { title: "ADDRESS", of: ({ address }) => address },
    { title: "PID", of: ({ pid }) => pid, isNumber: true },
    { title: "COMMAND", of: ({ command }) => command },
  ]);
}
