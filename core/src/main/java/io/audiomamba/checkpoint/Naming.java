package io.audiomamba.checkpoint;

/** Whose code a file's names of tensors are for. */
public enum Naming {
    /** VMamba's current code; with HTS-AT's names for a token-semantic head. */
    VMAMBA,
    /** DASS's code, which holds VMamba as {@code v} within a data-parallel {@code module}. */
    DASS,
    /** DASS in Hugging Face's Transformers. */
    HUGGING_FACE
}
