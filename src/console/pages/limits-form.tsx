import { useState } from "preact/hooks";
import type { OwnLimits } from "../../client/index.ts";
import { useMachine } from "../state/context.ts";
import { Dialog } from "../ui/dialog.tsx";
import { Failure, Form, FormButtons } from "../ui/parts.tsx";
import { SchemaFields } from "../ui/schema-form/fields.tsx";
import { limitsShape } from "../ui/schema-form/limits-shape.ts";
import { type Draft, fieldValue } from "../ui/schema-form/shape.ts";
import { tell } from "../ui/toast.tsx";

interface Props {
  /** Limits that the server lets a machine choose, with their maxima. */
  maxima: OwnLimits;
  /** Limits of this machine alone. */
  own: OwnLimits;
  onDone: () => void;
}

/** A form for limits of one machine. */
export function LimitsForm({ maxima, own, onDone }: Props) {
  const { vm } = useMachine();
  const shape = limitsShape(maxima);
  const [draft, setDraft] = useState<Draft>(() =>
    Object.fromEntries(Object.entries(own).map(([name, value]) => [name, String(value)])),
  );
  const [error, setError] = useState<Error>();
  const submit = async () => {
    const limits = (fieldValue(shape, draft) ?? {}) as OwnLimits;
    try {
      await vm.setLimits(limits);
      tell("Set the limits");
      onDone();
    } catch (failure) {
      setError(failure as Error);
    }
  };
  return (
    <Dialog title="Limits" onClose={onDone}>
      <Form onSubmit={submit}>
        <p class="hint">
          An empty field leaves the limit as it is. Memory and CPUs follow at once, the others with the next
          boot.
        </p>
        <SchemaFields shape={shape} draft={draft} onChange={setDraft} />
        <Failure error={error} />
        <FormButtons yes="Set" onCancel={onDone} />
      </Form>
    </Dialog>
  );
}
