import type { SessionConfigOption } from "../../../client/index.ts";
import { useMachine } from "../../state/context.ts";
import { usePoll } from "../../state/use-poll.ts";

/** Pause between two looks at the settings, which an agent may change by itself. In milliseconds. */
const LOOK_MS = 8_000;

/** Mode, model and other settings of an agent. */
export function Settings({ sessionId }: { sessionId: string }) {
  const { vm } = useMachine();
  const look = async () => {
    const [modes, options] = await Promise.all([vm.getModes(sessionId), vm.getConfigOptions(sessionId)]);
    return { modes, options };
  };
  const { value, act: set } = usePoll(look, LOOK_MS, sessionId);
  if (value === undefined) return null;
  const { modes } = value;
  const options = value.options.filter(
    ({ category, allowedValues }) => category !== "mode" && allowedValues?.length,
  );
  const setOption = ({ category }: SessionConfigOption, chosen: string) =>
    category === "model" ? vm.setModel(sessionId, chosen) : vm.setThoughtLevel(sessionId, chosen);
  return (
    <>
      {modes && (
        <select
          aria-label="Mode"
          value={modes.currentModeId}
          onChange={({ currentTarget: { value: mode } }) => void set(() => vm.setMode(sessionId, mode))}
        >
          {modes.availableModes.map(({ id, name, label }) => (
            <option key={id} value={id}>
              {name ?? label ?? id}
            </option>
          ))}
        </select>
      )}
      {options.map((option) => (
        <select
          key={option.id}
          aria-label={option.label ?? option.id}
          value={option.currentValue ?? ""}
          disabled={option.readOnly === true || !["model", "thought_level"].includes(option.category ?? "")}
          onChange={({ currentTarget: { value: chosen } }) => void set(() => setOption(option, chosen))}
        >
          {option.allowedValues?.map(({ id, label }) => (
            <option key={id} value={id}>
              {label ?? id}
            </option>
          ))}
        </select>
      ))}
    </>
  );
}
