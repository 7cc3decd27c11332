#include "base/language.h"

#include <gtest/gtest.h>

namespace trimma::language_test {
namespace {

struct Sample {
  const char* language;
  const char* text;
};

const Sample kSamples[] = {
    {"English",
     "The harbour was quiet that morning, and the boats that had come in during the night were "
     "still unloading. It is said that the best fish is sold before the sun is up, which is why "
     "the cooks of the town are there by five."},
    {"German",
     "Der Hafen war an diesem Morgen still, und die Boote, die in der Nacht gekommen waren, wurden "
     "noch entladen. Man sagt, dass der beste Fisch verkauft ist, bevor die Sonne aufgeht, und "
     "das ist auch der Grund, warum die Köche nicht ausschlafen."},
    {"French",
     "Le port était calme ce matin, et les bateaux qui étaient rentrés dans la nuit déchargeaient "
     "encore. On dit que le meilleur poisson est vendu avant le lever du soleil, et les cuisiniers "
     "de la ville sont sur le quai pour ne pas le manquer."},
    {"Spanish",
     "El puerto estaba tranquilo esa mañana y los barcos que habían llegado por la noche seguían "
     "descargando. Se dice que el mejor pescado se vende antes de que salga el sol, y por eso los "
     "cocineros del pueblo están en el muelle muy temprano."},
    {"Portuguese",
     "O porto estava calmo naquela manhã e os barcos que tinham chegado durante a noite ainda "
     "descarregavam. Dizem que o melhor peixe é vendido antes do nascer do sol, e por isso os "
     "cozinheiros da cidade não dormem até tarde em um dia de feira."},
    {"Italian",
     "Il porto era calmo quella mattina e le barche che erano arrivate nella notte stavano ancora "
     "scaricando. Si dice che il pesce migliore si vende prima che sorga il sole, e per questo i "
     "cuochi della città sono sul molo anche quando non è ancora giorno."},
    {"Dutch",
     "De haven was die ochtend stil, en de boten die in de nacht waren gekomen werden nog gelost. "
     "Men zegt dat de beste vis verkocht wordt voor het licht is, en dat is ook waarom de koks van "
     "het dorp er om vijf uur zijn en niet later."},
    {"Swedish",
     "Hamnen var stilla den morgonen, och båtarna som hade kommit in under natten höll ännu på att "
     "lasta av. Det sägs att den bästa fisken är såld när solen går upp, och att kockarna i staden "
     "därför inte kan sova så länge på en lördag."},
    {"Danish or Norwegian",
     "Havnen var stille den morgen, og bådene som var kommet ind om natten var ikke tømt endnu. "
     "Det siges at den bedste fisk er solgt før solen står op, og at kokkene fra byen derfor er på "
     "kajen til den tid og ikke kan sove."},
    {"Polish",
     "W porcie było tego ranka cicho, a łodzie, które przypłynęły w nocy, nie były jeszcze "
     "rozładowane. Mówi się, że najlepsza ryba jest sprzedana, nim wzejdzie słońce, i że kucharze "
     "są na nabrzeżu o piątej, bo to się po prostu opłaca."},
    {"Finnish",
     "Satama oli hiljaa sinä aamuna, ja veneet, jotka olivat tulleet yöllä, eivät olleet vielä "
     "tyhjiä. Sanotaan, että paras kala on myyty kun aurinko nousee, ja se on myös syy siihen, "
     "että kokit ovat laiturilla, mutta kukaan ei voi nukkua niin kuin ennen."},
    {"Cyrillic script", "В порту было тихо в то утро, и лодки, пришедшие ночью, ещё разгружали."},
    {"Chinese", "那天早上港口很安静，夜里回来的船还在卸货。人们说最好的鱼在日出之前就卖完了。"},
    {"Japanese",
     "その朝、港は静かで、夜に戻った船はまだ荷を降ろしていた。一番よい魚は日の出前に売れるという"
     "。"},
    {"Korean", "그날 아침 항구는 조용했고, 밤에 들어온 배들은 아직 짐을 내리고 있었다."},
    {"Arabic script", "كان الميناء هادئا في ذلك الصباح وكانت القوارب لا تزال تفرغ حمولتها."},
    {"Devanagari script", "उस सुबह बंदरगाह शांत था और रात में आई नावें अब भी खाली हो रही थीं।"},
    {"code",
     "int Sum(const std::vector<int>& values) {\n  int sum = 0;\n  for (int v : values) sum += v;\n"
     "  return sum;\n}\n\nint main() {\n  const auto total = Sum({1, 2, 3});\n  return "
     "total;\n}\n"},
};

TEST(LanguageTest, ProseIsToldApart) {
  for (const Sample& sample : kSamples) EXPECT_EQ(LanguageOf(sample.text), sample.language);
}

TEST(LanguageTest, WhereNothingStandsOutNothingIsSaid) {
  EXPECT_EQ(LanguageOf(""), "");
  EXPECT_EQ(LanguageOf("the of and"), "");
  EXPECT_EQ(LanguageOf("12 31 44 51 62 73 85 91 101 112 123 134 145 156 167 178"), "");
  EXPECT_EQ(LanguageOf("lorem ipsum dolor sit amet consectetur adipiscing elit sed eiusmod tempor "
                       "incididunt labore dolore magna aliqua"),
            "");
}

TEST(LanguageTest, HalfAndHalfIsNeither) {
  EXPECT_EQ(LanguageOf(std::string(kSamples[0].text) + kSamples[1].text), "");
}

TEST(LanguageTest, MalformedBytesAreNoHarm) {
  EXPECT_EQ(LanguageOf("\xF0\x9F"), "");
  EXPECT_EQ(LanguageOf(std::string(kSamples[0].text) + "\xE4\xC3"), "English");
}

}  // namespace
}  // namespace trimma::language_test
