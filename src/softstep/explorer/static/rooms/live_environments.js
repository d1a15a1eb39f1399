// The environments of the live room: their names, what their actions do, and the words for what learns in them.

const DQN = {
  alpha: "$α$: step size", c: "$c$: share of the old target", target: "Target network",
  note: "Each arm has a network $Q$ and, while its switch is on, a target network $T$ that follows it: " +
    "$T ← c T + (1 − c) Q$ after every gradient step. The agent acts with $Q$, and its returns are those of $Q$; " +
    "$T$ only supplies the values from which $Q$ learns.",
};
const SAC = {
  alpha: "$α$: step size of the critics", c: "$c$: share of the old targets", target: "Target networks of the critics",
  note: "Each arm has an actor, which chooses the action, and two critics $Q_1$ and $Q_2$, which value it. While its switch is on, each " +
    "critic has a target network that follows it: $T_i ← c T_i + (1 − c) Q_i$ after every gradient step. $α$ and $c$ are those of the " +
    "critics: they learn from values that they made themselves, through $T$ or directly. The actor only climbs $Q$ and has no target; " +
    "its step size and that of the temperature stay at 0.001.",
};

/**
 * By Gymnasium's id. A discrete environment has `actions`; a continuous one has `components`, each between −limit and limit,
 * and says what to expect (`expect`).
 */
export const ENVIRONMENTS = {
  "CartPole-v1": { label: "CartPole (DQN)", words: DQN, actions: ["left", "right"] },
  "LunarLander-v3": {
    label: "Lunar Lander (DQN)", words: DQN, actions: ["nothing", "left engine", "main engine", "right engine"],
  },
  "Pendulum-v1": {
    label: "Pendulum (SAC)", words: SAC, components: [{ name: "torque", limit: 2 }],
    expect: "With a target, most agents hold the pendulum upright after 5,000 to 10,000 steps; an episode is 200 steps long.",
  },
  "LunarLanderContinuous-v3": {
    label: "Lunar Lander, continuous (SAC)", words: SAC,
    components: [{ name: "main engine", limit: 1 }, { name: "side engines", limit: 1 }],
    expect: "The main engine runs above 0, a side engine beyond ±0.5. Learning takes patience: the craft first learns to hover, " +
      "and most agents still do after 100,000 steps.",
  },
};
export const DEFAULT_ENV = "CartPole-v1";
