package io.audiomamba.train;

import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import java.util.List;

/** Where the weights of a model are taken from when its training begins. */
public interface InitialWeights {

    /** A model that has not learned anything. */
    InitialWeights RANDOM = new InitialWeights() {
        @Override
        public Parameters.Source source(ModelConfig model, Parameters.Source random) {
            return random;
        }

        @Override
        public String provenance() {
            return "random";
        }

        @Override
        public String fingerprint() {
            return "random";
        }
    };

    /**
     * The source of every tensor that {@code model} declares.
     *
     * @param random the values of a new model, for what is not to be found elsewhere
     */
    Parameters.Source source(ModelConfig model, Parameters.Source random);

    /** What the user should know of them, sentence by sentence; asked for when the model has declared its tensors. */
    default List<String> report() {
        return List.of();
    }

    /** What a checkpoint shall say of its first weights; asked for when the model has declared its tensors. */
    String provenance();

    /** Equal for equal weights, whatever they are called. */
    String fingerprint();
}
