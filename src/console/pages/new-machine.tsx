import { useState } from "preact/hooks";
import type { VmChoices, VmInput } from "../../client/index.ts";
import { useSession } from "../state/context.ts";
import { goTo } from "../state/router.ts";
import { usePoll } from "../state/use-poll.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Failure, Form, FormButtons } from "../ui/parts.tsx";
import { SchemaFields } from "../ui/schema-form/fields.tsx";
import { limitsShape } from "../ui/schema-form/limits-shape.ts";
import { type Draft, fieldValue, type Shape } from "../ui/schema-form/shape.ts";
import { tell } from "../ui/toast.tsx";
import { keyOf } from "./machine-actions.tsx";

const LABELS = {
  labels: "Labels",
  limits: "Limits",
  env: "Variables",
  rootFilesystem: "First files",
  outbound: "Outbound connections",
  destroyAfterMs: "Milliseconds of sleep after which it is destroyed",
};
const ONCE_MS = 3_600_000;

/** A form for a new machine, with the options that the server lets its creator choose. */
export function NewMachine({ onDone }: { onDone: () => void }) {
  const session = useSession();
  const [name, setName] = useState(session.names[0] ?? "vm");
  const [key, setKey] = useState("");
  const [draft, setDraft] = useState<Draft>({});
  const { value: choices, error } = usePoll(() => session.vms(name).options(), ONCE_MS, name);
  const [refusal, setRefusal] = useState<Error>();
  const submit = async () => {
    const input = choices && inputOf(shapeOf(choices), draft);
    const parts = keyOf(key);
    try {
      await session.vms(name).create(parts, input && { input });
      tell(`Created ${parts.join("/")}`);
      onDone();
      goTo({ page: "machine", name, key: parts, tab: "overview" });
    } catch (failure) {
      setRefusal(failure as Error);
    }
  };
  return (
    <Dialog title="New machine" onClose={onDone}>
      <Form onSubmit={submit}>
        {session.names.length > 1 && (
          <label class="field">
            <span>Kind</span>
            <select
              value={name}
              onChange={(event) => {
                setName(event.currentTarget.value);
                setDraft({});
              }}
            >
              {session.names.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
        )}
        <label class="field">
          <span>Name (a slash separates the parts of a key)</span>
          <input
            autoFocus
            value={key}
            placeholder="team/alice"
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        {choices && (
          <details>
            <summary>Options</summary>
            <SchemaFields shape={shapeOf(choices)} draft={draft} onChange={setDraft} labels={LABELS} />
          </details>
        )}
        <Failure error={refusal ?? error} />
        <FormButtons yes="Create" onCancel={onDone} disabled={keyOf(key).length === 0} />
      </Form>
    </Dialog>
  );
}

/** The options that a server allows, as the fields of a form. */
function shapeOf({ limits, env, network, rootFilesystems, destroyAfterMs }: VmChoices): Shape {
  const texts: Shape = { type: "object", additionalProperties: { type: "string" } };
  return {
    properties: {
      labels: texts,
      ...(Object.keys(limits).length > 0 && { limits: limitsShape(limits) }),
      ...(env && { env: texts }),
      ...(network && { outbound: { enum: ["all", "none"] } }),
      ...(rootFilesystems.length > 0 && { rootFilesystem: { enum: rootFilesystems } }),
      ...(destroyAfterMs !== null && { destroyAfterMs: { type: "integer", maximum: destroyAfterMs } }),
    },
  };
}

function inputOf(shape: Shape, draft: Draft): VmInput | undefined {
  const value = fieldValue(shape, draft) as (VmInput & { outbound?: "all" | "none" }) | undefined;
  if (value?.outbound === undefined) return value;
  const { outbound, ...others } = value;
  return { ...others, network: { outbound } };
}
