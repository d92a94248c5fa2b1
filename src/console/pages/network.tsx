import { useEffect, useState } from "preact/hooks";
import type { NetworkLogEntry, OutboundPolicy } from "../../client/index.ts";
import { useMachine, useSession } from "../state/context.ts";
import { ASLEEP_MS, usePoll } from "../state/use-poll.ts";
import { ago, clock } from "../ui/format.ts";
import { Empty, Failure, Form } from "../ui/parts.tsx";
import { Previews } from "./previews.tsx";

/** Pause between two looks at the policy. In milliseconds. */
const LOOK_MS = 5_000;
/** Denials on the page. */
const MOST_DENIALS = 200;

/** Shows the outbound policy, denied requests, and the ports that browsers reach. */
export default function NetworkPage() {
  const { vm, key, isAwake } = useMachine();
  const session = useSession();
  const look = async () => {
    const [policy, log] = await Promise.all([vm.getNetworkPolicy(), vm.getNetworkLog()]);
    return { policy, log };
  };
  const { value, error, refresh, act } = usePoll(look, isAwake ? LOOK_MS : ASLEEP_MS, key.join("/"));
  useEffect(() => {
    if (!isAwake) return;
    const connection = vm.connect();
    connection.on("networkDenied", refresh);
    return () => void connection.dispose();
  }, [vm, isAwake, refresh]);
  const set = async (outbound: OutboundPolicy, done: string) => {
    await act(() => vm.setNetworkPolicy({ outbound }), done);
  };
  const outbound = value?.policy.outbound;
  return (
    <div class="scroll">
      <Failure error={error} />
      {outbound !== undefined && (
        <PolicyForm
          key={JSON.stringify(outbound)}
          outbound={outbound}
          mayChange={session.may("admin")}
          set={set}
        />
      )}
      <Denials
        log={value?.log}
        allow={
          session.may("admin") && outbound !== undefined && outbound !== "all"
            ? ({ host, port }) => set(allowed(outbound, ruleOf(host, port)), `Allowed ${host}:${port}`)
            : undefined
        }
      />
      <Previews />
    </div>
  );
}

interface FormProps {
  outbound: OutboundPolicy;
  mayChange: boolean;
  set: (outbound: OutboundPolicy, done: string) => Promise<void>;
}

function PolicyForm({ outbound, mayChange, set }: FormProps) {
  const rules = typeof outbound === "string" ? { allow: [], deny: [] } : outbound;
  const [kind, setKind] = useState(typeof outbound === "string" ? outbound : "rules");
  const [allow, setAllow] = useState(rules.allow.join("\n"));
  const [deny, setDeny] = useState((rules.deny ?? []).join("\n"));
  const next = (): OutboundPolicy =>
    kind === "rules" ? { allow: linesOf(allow), deny: linesOf(deny) } : (kind as "none" | "all");
  return (
    <Form class="card" onSubmit={() => set(next(), "The policy holds now")}>
      <h2>Programs reach</h2>
      <fieldset disabled={!mayChange}>
        <legend class="hidden">Outbound policy</legend>
        {(
          [
            ["none", "nothing outside"],
            ["rules", "what the rules allow"],
            ["all", "everything but the server's machine and metadata services"],
          ] as const
        ).map(([id, text]) => (
          <label class="choice" key={id}>
            <input type="radio" name="policy" checked={kind === id} onChange={() => setKind(id)} /> {text}
          </label>
        ))}
        {kind === "rules" && (
          <div class="two">
            <label class="field">
              <span>Allow, a rule a line</span>
              <textarea
                rows={5}
                value={allow}
                onInput={(event) => setAllow(event.currentTarget.value)}
                placeholder={"packages.example:443\n*.example.com"}
              />
            </label>
            <label class="field">
              <span>Deny, a rule a line</span>
              <textarea rows={5} value={deny} onInput={(event) => setDeny(event.currentTarget.value)} />
            </label>
          </div>
        )}
        {mayChange && (
          <button type="submit" class="primary">
            Set the policy
          </button>
        )}
      </fieldset>
    </Form>
  );
}

interface DenialsProps {
  log: NetworkLogEntry[] | undefined;
  allow: ((entry: NetworkLogEntry) => Promise<void>) | undefined;
}

function Denials({ log, allow }: DenialsProps) {
  return (
    <section class="card">
      <h2>Denied</h2>
      {log?.length === 0 && <Empty>Nothing has been denied since the machine woke.</Empty>}
      <ul class="plain">
        {log
          ?.toReversed()
          .slice(0, MOST_DENIALS)
          .map((entry) => (
            <li class="row" key={`${entry.host}:${entry.port}:${entry.time}`}>
              <span class="hint" title={clock(entry.time)}>
                {ago(entry.time)}
              </span>
              <span class="name">
                <strong>
                  {entry.host}:{entry.port}
                </strong>{" "}
                {entry.reason}
              </span>
              {entry.count > 1 && <span class="badge">{entry.count}×</span>}
              {allow && (
                <button type="button" onClick={() => void allow(entry)}>
                  Allow this
                </button>
              )}
            </li>
          ))}
      </ul>
    </section>
  );
}

function ruleOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function allowed(outbound: OutboundPolicy, rule: string): OutboundPolicy {
  const { allow, deny = [] } = typeof outbound === "string" ? { allow: [], deny: [] } : outbound;
  return { allow: [...new Set([...allow, rule])], deny };
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
