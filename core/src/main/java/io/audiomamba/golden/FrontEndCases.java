package io.audiomamba.golden;

import io.audiomamba.frontend.KaldiFbank;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.model.InputStage;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.torch.Tensors;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import tools.jackson.databind.JsonNode;

/** From sound to image. */
final class FrontEndCases {

    /** Against a float64 definition that is stored as float32. */
    private static final double EXACT = 1e-6;
    /** Against torchlibrosa and a bicubic interpolation in float32: 1e-3 dB of some 25 dB. */
    private static final double DECIBEL = 4e-5;
    /** Against a Fourier transform in float32. */
    private static final double POWER = 2e-6;
    /** Against torchaudio in float32: 5e-3 of 16, the logarithm of the floor. */
    private static final double FBANK = 3.1e-4;
    /** The same 5e-3 after the mean has moved and the deviation has scaled it: 5.5e-4 of 1.28. */
    private static final double FBANK_IMAGE = 4.2e-4;
    /** torchaudio computes the positions of its mel filters in float32. */
    private static final double MEL_BANKS = 3e-5;

    private FrontEndCases() {}

    /** The constants of the log-mel front end, and the generated {@code bn0}. */
    static void htsatFilters(GoldenCase golden) {
        golden.compare("melW", LogMel.filters(), EXACT);
        golden.compare("window", LogMel.window(), EXACT);
        for (String name : golden.names()) {
            if (name.startsWith("bn0.")) {
                long[] shape = golden.raw(name).shape().stream().mapToLong(Long::longValue).toArray();
                golden.compare(name, Tensors.of(Generator.weights(name, shape, golden.text("bn0_salt", "")), shape), 0);
            }
        }
    }

    /** Log-mel, {@code bn0} and folding. */
    static void htsatFrontEnd(GoldenCase golden) {
        LogMel frontEnd = new LogMel(golden.device());
        Tensor sound = pcm(golden);
        Tensor logMel = frontEnd.apply(sound);
        Map.of("logmel_f64", EXACT, "logmel", DECIBEL).forEach((reference, tolerance) -> {
            if (golden.has(reference)) {
                golden.compare(reference, logMel.squeeze(0), tolerance);
            }
        });
        if (golden.has("power")) {
            Tensor frames = golden.tensor("power_frame_index").to(ScalarType.Long);
            golden.compare("power", frontEnd.power(sound).squeeze(0).index_select(0, frames), POWER);
        }
        if (golden.has("img_logmel")) {
            golden.compare("img_logmel", InputStage.fold(logMel), DECIBEL);
        }
        if (golden.has("img_bn0")) {
            try (Parameters parameters = GoldenCase.generated(golden.text("bn0_salt"))) {
                InputStage stage = new InputStage.FoldedLogMel(parameters.root());
                parameters.to(golden.device());
                golden.compare("img_bn0", stage.forward(logMel, new Pass(golden.kernel(), false)), DECIBEL);
            }
        }
    }

    /** The constants of the Kaldi filter bank. */
    static void kaldiMelBanks(GoldenCase golden) {
        golden.compare("mel_banks", KaldiFbank.filters(), MEL_BANKS);
        golden.compare("window", KaldiFbank.window(), EXACT);
    }

    /** The Kaldi filter bank, and the image that DASS sees. */
    static void kaldiFbank(GoldenCase golden) {
        KaldiFbank frontEnd = new KaldiFbank(golden.device());
        Tensor sound = pcm(golden);
        Tensor fbank = frontEnd.fbank(sound).squeeze(0);
        Map.of("fbank_f64_rederived", EXACT, "fbank", FBANK).forEach((reference, tolerance) -> {
            if (golden.has(reference)) {
                golden.compare(reference, fbank, tolerance);
            }
        });
        if (golden.has("input_1024x128")) {
            golden.compare("input_1024x128", frontEnd.apply(sound).squeeze(0), FBANK_IMAGE);
        }
    }

    /** The sound that the run describes, (1, samples): stored here or elsewhere, perhaps repeated, or generated. */
    private static Tensor pcm(GoldenCase golden) {
        JsonNode from = golden.setting("pcm");
        if (from.has("synth")) {
            JsonNode synth = from.get("synth");
            float[] sound = Generator.sound(golden.number("sample_rate"), synth.get("seconds").asDouble(),
                    synth.path("key").asString("noise"));
            return golden.onDevice(sound, 1, sound.length);
        }
        Tensor sound = golden.operand("pcm").view(1, -1);
        if (!from.has("repeat_to")) {
            return sound;
        }
        long wanted = from.get("repeat_to").asLong();
        long times = Math.ceilDiv(wanted, sound.size(1));
        return sound.repeat(1, times).narrow(1, 0, wanted);
    }
}
