import { useEffect, useState } from "preact/hooks";
import type { AgentType, PermissionPolicy } from "../../../client/index.ts";
import { useMachine } from "../../state/context.ts";
import { Form, FormButtons } from "../../ui/parts.tsx";
import { attempt, tellError } from "../../ui/toast.tsx";

/** A form that starts an agent. */
export function NewSession({ onDone }: { onDone: (sessionId?: string) => void }) {
  const { vm } = useMachine();
  const [agents, setAgents] = useState<AgentType[]>();
  const [agent, setAgent] = useState("");
  const [policy, setPolicy] = useState<PermissionPolicy>("ask");
  const [cwd, setCwd] = useState("/workspace");
  const [isBusy, setIsBusy] = useState(false);
  useEffect(() => {
    vm.listAgents().then((found) => {
      setAgents(found);
      setAgent((found.find(({ installed }) => installed) ?? found[0])?.id ?? "");
    }, tellError);
  }, [vm]);
  const chosen = agents?.find(({ id }) => id === agent);
  const start = async () => {
    setIsBusy(true);
    let sessionId: string | undefined;
    const done = await attempt(async () => {
      sessionId = (await vm.createSession(agent, { permissionPolicy: policy, cwd })).sessionId;
    });
    setIsBusy(false);
    if (done) onDone(sessionId);
  };
  return (
    <Form onSubmit={start}>
      <label class="field">
        <span>Agent</span>
        <select value={agent} onChange={(event) => setAgent(event.currentTarget.value)}>
          {agents?.map(({ id, title, installed }) => (
            <option key={id} value={id}>
              {title} {installed ? "" : "(not installed)"}
            </option>
          ))}
        </select>
      </label>
      {chosen?.reason && <p class="hint">{chosen.reason}</p>}
      <label class="field">
        <span>Directory</span>
        <input value={cwd} onInput={(event) => setCwd(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Permissions</span>
        <select value={policy} onChange={(event) => setPolicy(event.currentTarget.value as PermissionPolicy)}>
          <option value="ask">Ask</option>
          <option value="allow_all">Allow everything</option>
          <option value="reject_all">Reject everything</option>
        </select>
      </label>
      <FormButtons
        yes={isBusy ? "Starts…" : "Start"}
        onCancel={onDone}
        disabled={isBusy || agent === "" || chosen?.installed === false}
      />
    </Form>
  );
}
