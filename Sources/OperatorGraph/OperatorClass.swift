/// What kind of work an operator does; each has a shape of its own in drawings.
public enum OperatorClass: String, Sendable, CaseIterable {
  case matrixProduct = "matrix product"
  case attention = "attention, soft-max"
  case normalisation = "norm"
  case position = "rotary position"
  case elementWise = "element-wise, activation"
  case dataMovement = "copy, look-up"
  case routing = "sorting, routing"
  case recurrence = "recurrence, convolution"
  case other

  /// - Parameter op: the operator's name; a fused operator counts as its most costly member.
  public init(op: String) {
    let classes = op.split(separator: "+").map { Self.single(String($0)) }
    self = Self.byCost.first(where: classes.contains) ?? .other
  }

  private static let byCost: [OperatorClass] = [
    .matrixProduct, .attention, .recurrence, .routing, .normalisation, .position, .dataMovement, .elementWise,
  ]

  private static func single(_ op: String) -> OperatorClass {
    switch op {
    case _ where op.hasPrefix("MUL_MAT") || op == "OUT_PROD": .matrixProduct
    case _ where op.hasPrefix("FLASH_ATTN") || op.hasPrefix("SOFT_MAX"): .attention
    case _ where op.hasSuffix("NORM"): .normalisation
    case _ where op.hasPrefix("ROPE"), "TIMESTEP_EMBEDDING": .position
    case _
    where op.hasPrefix("SSM_") || op.hasPrefix("RWKV") || op.hasPrefix("CONV") || op.hasPrefix("IM2COL"),
      "GATED_LINEAR_ATTN", "GATED_DELTA_NET", "SOLVE_TRI", "POOL_1D", "POOL_2D":
      .recurrence
    case "ARGSORT", "TOP_K", "ARGMAX": .routing
    case "CPY", "CONT", "DUP", "SET_ROWS", "GET_ROWS", "SET", "CONCAT", "REPEAT", "PAD", "ROLL", "ARANGE",
      "FILL":
      .dataMovement
    case "ADD", "ADD1", "ADD_ID", "ACC", "SUB", "MUL", "DIV", "SQR", "SQRT", "LOG", "SIN", "COS", "SCALE",
      "CLAMP",
      "SUM", "SUM_ROWS", "MEAN", "CUMSUM", "DIAG_MASK_INF", "DIAG_MASK_ZERO", "TRI":
      .elementWise
    // Sub-operators of UNARY and GLU go by names of their own.
    case "ABS", "SGN", "NEG", "STEP", "TANH", "ELU", "RELU", "LEAKY_RELU", "SIGMOID", "GELU", "GELU_QUICK",
      "GELU_ERF", "SILU", "HARDSWISH", "HARDSIGMOID", "EXP", "EXPM1", "SOFTPLUS", "XIELU", "FLOOR", "CEIL",
      "ROUND",
      "TRUNC", "REGLU", "GEGLU", "SWIGLU", "SWIGLU_OAI", "GEGLU_ERF", "GEGLU_QUICK":
      .elementWise
    default: .other
    }
  }
}
